package meta

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// clientEvents lists the events that "client.*" stands for behind a field.
var clientEvents = []string{
	"client.connect", "client.reauth", "client.address", "client.established", "client.disconnect", "client.cr_response",
}

// eventFields are the fields of class Event, each with the events that have it; nil for every event. They are read from Types by the
// first that needs them: most programs run no script.
var eventFields = sync.OnceValue(func() map[string][]string {
	_, class, _ := strings.Cut(Types, "---@class Event\n")
	class, _, _ = strings.Cut(class, "\nlocal Event")
	all := make(map[string][]string)
	for _, m := range regexp.MustCompile(`(?m)^---@field (\w+) (.*)$`).FindAllStringSubmatch(class, -1) {
		_, text := splitType(m[2])
		list, _, _ := strings.Cut(text, ":")
		if list = strings.TrimSpace(list); list == "every event" {
			all[m[1]] = nil
			continue
		}
		for event := range strings.SplitSeq(list, ", ") {
			if event == "client.*" {
				all[m[1]] = append(all[m[1]], clientEvents...)
			} else {
				all[m[1]] = append(all[m[1]], event)
			}
		}
	}
	return all
})

// Fields are the names that some event has a field of, in order. Others are mistakes. The list is shared.
var Fields = sync.OnceValue(func() []string { return slices.Sorted(maps.Keys(eventFields())) })

// FieldsOf are the names of the fields of one event, in order.
func FieldsOf(event string) []string {
	var names []string
	for _, f := range Fields() {
		if events := eventFields()[f]; events == nil || slices.Contains(events, event) {
			names = append(names, f)
		}
	}
	return names
}

// Methods are the methods of events, in order. The list is shared.
var Methods = sync.OnceValue(func() []string {
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^function Event:(\w+)\(`).FindAllStringSubmatch(Types, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return names
})
