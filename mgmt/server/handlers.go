package server

// handler executes a command of the table of mgmt.
type handler struct {
	run     func(*call)
	relayed func(*call) // behind a Relay, of commands of which a part is the server's; nil: the line goes to the daemon as it is
}

// handlers has a row for each command, exit and quit aside.
var handlers map[string]handler

func init() {
	handlers = map[string]handler{
		"auth-retry":          {run: (*call).authRetry},
		"bytecount":           {run: (*call).byteCount, relayed: (*call).relayByteCount},
		"certificate":         {run: (*call).certificate, relayed: (*call).certificate},
		"client-auth":         {run: (*call).clientAuth, relayed: (*call).clientAuth},
		"client-auth-nt":      {run: (*call).clientAuthNT, relayed: (*call).relayDecision},
		"client-deny":         {run: (*call).clientDeny, relayed: (*call).relayDecision},
		"client-kill":         {run: (*call).clientKill},
		"client-pending-auth": {run: (*call).clientPending},
		"cr-response":         {run: (*call).crResponse},
		"echo":                {run: (*call).history, relayed: (*call).relayHistory},
		"env-filter":          {run: (*call).filter, relayed: (*call).filter},
		"fleet-ban":           {run: (*call).fleetOrder},
		"fleet-ccd":           {run: (*call).fleetCCD},
		"fleet-ccd-rm":        {run: (*call).fleetCCDRemove},
		"fleet-config":        {run: (*call).fleetConfig},
		"fleet-drain":         {run: (*call).fleetDrain},
		"fleet-kill":          {run: (*call).fleetOrder},
		"fleet-revoke":        {run: (*call).fleetRevoke},
		"fleet-status":        {run: (*call).fleetStatus},
		"fleet-unban":         {run: (*call).fleetOrder},
		"fleet-unrevoke":      {run: (*call).fleetUnrevoke},
		"forget-passwords":    {run: (*call).forget},
		"help":                {run: (*call).help},
		"hold":                {run: (*call).holdFlag, relayed: (*call).relayHold},
		"kill":                {run: (*call).kill},
		"load-stats":          {run: (*call).loadStats},
		"log":                 {run: (*call).history, relayed: (*call).relayHistory},
		"mute":                {run: (*call).mute},
		"nclients":            {run: (*call).clients},
		"needok":              {run: (*call).needOK, relayed: (*call).relayAnswer},
		"needstr":             {run: (*call).needStr, relayed: (*call).relayAnswer},
		"net":                 {run: (*call).net},
		"network-change":      {run: (*call).networkChange},
		"password":            {run: (*call).password, relayed: (*call).relaySecret},
		"pid":                 {run: (*call).pid},
		"pk-sig":              {run: (*call).signature, relayed: (*call).signature},
		"pkcs11-id-count":     {run: (*call).pkcs11Count},
		"pkcs11-id-get":       {run: (*call).pkcs11Get},
		"proxy":               {run: (*call).proxy, relayed: (*call).relayAnswer},
		"push-update-broad":   {run: (*call).pushUpdate},
		"push-update-cid":     {run: (*call).pushUpdate},
		"reload":              {run: (*call).reload},
		"remote":              {run: (*call).remote, relayed: (*call).relayAnswer},
		"remote-entry-count":  {run: (*call).remoteCount},
		"remote-entry-get":    {run: (*call).remoteGet},
		"rsa-sig":             {run: (*call).signature, relayed: (*call).signature},
		"scripts":             {run: (*call).scripts},
		"signal":              {run: (*call).signal},
		"state":               {run: (*call).history, relayed: (*call).relayHistory},
		"status":              {run: (*call).status},
		"test":                {run: (*call).test, relayed: (*call).test},
		"username":            {run: (*call).username, relayed: (*call).relaySecret},
		"verb":                {run: (*call).verb},
		"version":             {run: (*call).announce, relayed: (*call).relayVersion},
	}
}
