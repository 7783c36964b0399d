package mgmt

import (
	"iter"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// StatusClient is a CLIENT_LIST row of status 2 and 3. Its fields stand in the order of the columns. The tag status names the column; a
// time has two, the second with " (time_t)" behind the name. The tag json names the field in JSON and for scripts; those get
// ids, which have the tag id, as numbers.
//
// Rule: docs/protocol.md#86-the-status-file.
type StatusClient struct {
	CommonName     string    `status:"Common Name" json:"common_name"` // "" when the daemon does not know it
	RealAddress    string    `status:"Real Address" json:"real_address"`
	VirtualAddress string    `status:"Virtual Address" json:"virtual_address"`
	VirtualIPv6    string    `status:"Virtual IPv6 Address" json:"virtual_ipv6"`
	BytesReceived  uint64    `status:"Bytes Received" json:"bytes_received"`
	BytesSent      uint64    `status:"Bytes Sent" json:"bytes_sent"`
	ConnectedSince time.Time `status:"Connected Since" json:"connected_since"`
	Username       string    `status:"Username" json:"username"` // "" when the daemon does not know it
	ClientID       string    `status:"Client ID" json:"cid" id:"true"`
	PeerID         string    `status:"Peer ID" json:"peer_id" id:"true"`
	Cipher         string    `status:"Data Channel Cipher" json:"cipher"`
}

// StatusRoute is a ROUTING_TABLE row.
type StatusRoute struct {
	VirtualAddress string    `status:"Virtual Address" json:"virtual_address"`
	CommonName     string    `status:"Common Name" json:"common_name"`
	RealAddress    string    `status:"Real Address" json:"real_address"`
	LastRef        time.Time `status:"Last Ref" json:"last_ref"`
}

// statusRow is either kind.
type statusRow interface{ StatusClient | StatusRoute }

// StatusTime is the layout of times in reports, local time.
const StatusTime = time.DateTime

const (
	unixColumn = " (time_t)"
	undefined  = "UNDEF" // of a name that is not known
)

// statusField is a field of a row.
type statusField struct {
	column, unix string // names of the columns; unix is "" but for times
	script       string // name of the field for scripts
	id           bool
	name         bool // of a client: UNDEF when it is not known
}

var statusFields = map[reflect.Type][]statusField{
	reflect.TypeFor[StatusClient](): fieldsOf(reflect.TypeFor[StatusClient]()),
	reflect.TypeFor[StatusRoute]():  fieldsOf(reflect.TypeFor[StatusRoute]()),
}

func fieldsOf(t reflect.Type) []statusField {
	var all []statusField
	for _, f := range reflect.VisibleFields(t) {
		x := statusField{column: f.Tag.Get("status"), script: f.Tag.Get("json"), id: f.Tag.Get("id") != "", name: f.Name == "CommonName" || f.Name == "Username"}
		if f.Type == reflect.TypeFor[time.Time]() {
			x.unix = x.column + unixColumn
		}
		all = append(all, x)
	}
	return all
}

// StatusColumns are the names behind HEADER and the name of the list.
func StatusColumns[T statusRow]() []string {
	var names []string
	for _, f := range statusFields[reflect.TypeFor[T]()] {
		if names = append(names, f.column); f.unix != "" {
			names = append(names, f.unix)
		}
	}
	return names
}

// StatusValues are the values of a row, in the order of its columns.
func StatusValues[T statusRow](row T) []string {
	var values []string
	v := reflect.ValueOf(row)
	for i, f := range statusFields[v.Type()] {
		switch x := v.Field(i).Interface().(type) {
		case time.Time:
			values = append(values, x.Format(StatusTime), strconv.FormatInt(x.Unix(), 10))
		case uint64:
			values = append(values, strconv.FormatUint(x, 10))
		case string:
			if x == "" && f.name {
				x = undefined
			}
			values = append(values, x)
		}
	}
	return values
}

// StatusLayout says where the fields of a row stand in a list, whose columns its HEADER names. The zero layout has none.
type StatusLayout[T statusRow] struct {
	at []int // of each field: its place in a row, 0 when it is not there
}

// NewStatusLayout reads the names behind HEADER and the name of the list.
func NewStatusLayout[T statusRow](columns []string) StatusLayout[T] {
	var l StatusLayout[T]
	for _, f := range statusFields[reflect.TypeFor[T]()] {
		name := f.column
		if f.unix != "" {
			name = f.unix
		}
		l.at = append(l.at, slices.Index(columns, name)+1)
	}
	return l
}

// Parse reads a row: the name of the list and the values.
func (l StatusLayout[T]) Parse(values []string, row *T) {
	v := reflect.ValueOf(row).Elem()
	fields := statusFields[v.Type()]
	for i, at := range l.at {
		if at == 0 || at >= len(values) {
			continue
		}
		value := values[at]
		switch x := v.Field(i).Addr().Interface().(type) {
		case *time.Time:
			if n, err := strconv.ParseInt(value, 10, 64); err == nil {
				*x = time.Unix(n, 0)
			}
		case *uint64:
			*x, _ = strconv.ParseUint(value, 10, 64)
		case *string:
			if !fields[i].name || value != undefined {
				*x = value
			}
		}
	}
}

// StatusFields yields the fields of a row for scripts: strings, and numbers as uint64, times and ids among them. An id that is not known
// is left out.
func StatusFields[T statusRow](row T) iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		v := reflect.ValueOf(row)
		for i, f := range statusFields[v.Type()] {
			value := v.Field(i).Interface()
			switch x := value.(type) {
			case time.Time:
				value = uint64(max(0, x.Unix())) //nolint:gosec // not negative
			case string:
				if n, err := strconv.ParseUint(x, 10, 64); f.id && err == nil {
					value = n
				} else if f.id {
					continue
				}
			}
			if !yield(f.script, value) {
				return
			}
		}
	}
}
