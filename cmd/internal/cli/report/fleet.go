package report

// Fleet is the answer of "fleet status".
type Fleet struct {
	Head
	Fleet string      `json:"fleet" jsonschema_description:"the fleet's id"`
	Nodes []FleetNode `json:"nodes" jsonschema_description:"by name; those that have left are not among them"`
	// NotHeard is never null.
	NotHeard []string `json:"not_heard" jsonschema_description:"names of the nodes that did not answer"`
}

// FleetNode is a node of a fleet.
type FleetNode struct {
	Name       string `json:"name"`
	Address    string `json:"address" jsonschema_description:"at which the other nodes reach it, empty before it has run"`
	State      string `json:"state" jsonschema:"enum=active,enum=admitted" jsonschema_description:"admitted: it has its certificate and has not run yet"`
	Answers    bool   `json:"answers"`
	Error      string `json:"error,omitempty" jsonschema_description:"why it does not answer"`
	Since      string `json:"since,omitempty" jsonschema_description:"when it was started, RFC 3339 in UTC"`
	SkewMillis int64  `json:"skew_ms" jsonschema_description:"how far its clock is ahead of this machine's"`
	Mode       string `json:"mode,omitempty" jsonschema:"enum=alone,enum=cluster,enum=outside" jsonschema_description:"of its engine, missing while none runs"`
	Ready      bool   `json:"ready" jsonschema_description:"its store answers, with a majority"`
	Leader     string `json:"leader,omitempty" jsonschema_description:"the node that leads the store, as it sees it"`
	StoreError string `json:"store_error,omitempty" jsonschema_description:"why its store does not answer, or why the node is no part of the fleet any more"`

	Version  string `json:"version,omitempty" jsonschema_description:"of its program"`
	Draining bool   `json:"draining" jsonschema_description:"it takes no newcomers"`
	Sessions int    `json:"sessions" jsonschema_description:"clients that it serves"`
	Slots    int    `json:"slots" jsonschema_description:"addresses of the pool, the same on all nodes"`
	Leases   int    `json:"leases" jsonschema_description:"addresses of the pool that are held, as it knows"`
	Slice    int    `json:"slice" jsonschema_description:"addresses of its own, for newcomers while the store does not answer"`

	CertificateEnds  string `json:"certificate_ends,omitempty" jsonschema_description:"RFC 3339 in UTC; it is renewed 90 days before"`
	CertificateError string `json:"certificate_error,omitempty" jsonschema_description:"why its certificate is not renewed though its end is near"`
}

// FleetInvite is the answer of "fleet init" and "fleet invite".
type FleetInvite struct {
	Head
	Fleet   string `json:"fleet" jsonschema_description:"the fleet's id"`
	Dir     string `json:"dir" jsonschema_description:"the folder of the node that invites"`
	Token   string `json:"token" jsonschema_description:"for fleet join, once; a secret"`
	Expires string `json:"expires" jsonschema_description:"RFC 3339 in UTC"`
}

// FleetConfig is the answer of "fleet config list". Its lists are never null.
type FleetConfig struct {
	Head
	Files       []FleetFile       `json:"files" jsonschema_description:"what files of client-config-dir would hold, by name"`
	Revocations []FleetRevocation `json:"revocations" jsonschema_description:"certificates that are out on all nodes"`
	Bans        []FleetBan        `json:"bans" jsonschema_description:"users and common names that are out on all nodes"`
}

// FleetFile is the configuration of a client that all nodes have.
type FleetFile struct {
	Name string `json:"name" jsonschema_description:"a common name, DEFAULT, or empty for lines that every client gets"`
	Text string `json:"text"`
	By   string `json:"by,omitempty" jsonschema_description:"the node that was told"`
}

// FleetRevocation keeps a certificate out.
type FleetRevocation struct {
	Serial string `json:"serial" jsonschema_description:"in decimal digits"`
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty" jsonschema_description:"the node that was told"`
}

// FleetBan keeps a user or a common name out.
type FleetBan struct {
	User       string `json:"user,omitempty"`
	CommonName string `json:"cn,omitempty"`
	Reason     string `json:"reason,omitempty"`
	By         string `json:"by,omitempty" jsonschema_description:"the node that was told"`
	Until      string `json:"until,omitempty" jsonschema_description:"when it ends, RFC 3339; missing for one without an end"`
}
