package mgmt

import "strings"

// Command is a row of the command table.
type Command struct {
	Name    string
	Args    string     // synopsis of the parameters, for help
	Help    string     // one line, for help
	Min     int        // parameters that must be there
	AtLeast bool       // the arity error says "at least"
	Words   [][]string // completion words by parameter position; nil: free text
	Repeat  bool       // the last Words set serves further parameters too
	Block   bool       // collects lines up to END
	Role    Role       // what a seat needs to use it; queries of settings need RoleObserve only, see Query
	Query   bool       // without parameters it only shows
	Hidden  bool       // not in help
}

// Synopsis is the name with its parameters.
func (c *Command) Synopsis() string {
	if c.Args == "" {
		return c.Name
	}
	return c.Name + " " + c.Args
}

// Needs is the role that a use with n parameters needs.
func (c *Command) Needs(n int) Role {
	if c.Query && n == 0 {
		return RoleObserve
	}
	return c.Role
}

var (
	onOff    = []string{"on", "off", "all"}
	secrets  = []string{SecretAuth, SecretPrivateKey, SecretHTTPProxy, SecretSOCKSProxy}
	commands = []Command{
		{Name: "auth-retry", Args: "[none|interact|nointeract]", Help: "show or set what a failed authentication leads to",
			Words: [][]string{{AuthRetryNone, AuthRetryInteract, AuthRetryNoInteract}}, Role: RoleOperate, Query: true},
		{Name: "bytecount", Args: "<seconds>", Help: "report byte counters at this interval, 0 stops", Min: 1, Role: RoleObserve},
		{Name: "certificate", Help: "answer NEED-CERTIFICATE: PEM lines, then END", Block: true, Role: RoleAuth},
		{Name: "client-auth", Args: "<CID> <KID>", Help: "admit a client; lines of its configuration, then END", Min: 2, Block: true, Role: RoleAuth},
		{Name: "client-auth-nt", Args: "<CID> <KID>", Help: "admit a client without a configuration", Min: 2, Role: RoleAuth},
		{Name: "client-deny", Args: "<CID> <KID> <reason> [<client reason>]", Help: "refuse a client; the first reason is logged, the second sent", Min: 3, AtLeast: true, Role: RoleAuth},
		{Name: "client-kill", Args: "<CID> [<message>]", Help: "send a message (RESTART) and drop the client", Min: 1, AtLeast: true,
			Words: [][]string{nil, {"RESTART", "HALT", "EXIT"}}, Role: RoleOperate},
		{Name: "client-pending-auth", Args: "<CID> <KID> <extra> <timeout>", Help: "tell a client that a further step decides", Min: 4, Role: RoleAuth},
		{Name: "cr-response", Args: "<base64>", Help: "answer a CR_TEXT challenge", Min: 1, Role: RoleAuth},
		{Name: "echo", Args: "on|off|all|<n>", Help: "echo lines as they come, or the last ones", Min: 1, AtLeast: true, Words: [][]string{onOff}, Repeat: true, Role: RoleObserve},
		{Name: "env-filter", Args: "[<level>]", Help: "how much environment CLIENT blocks carry: 0 all, 1, 2, 3 none", Words: [][]string{{"0", "1", "2", "3"}}, Role: RoleObserve},
		{Name: "exit", Help: "end this session", Role: RoleObserve},
		{Name: "forget-passwords", Help: "drop cached secrets", Role: RoleOperate},
		{Name: "help", Help: "this list", Role: RoleObserve},
		{Name: "hold", Args: "[on|off|release]", Help: "show or set the hold flag, or leave the hold", Words: [][]string{{"on", "off", "release"}}, Role: RoleOperate, Query: true},
		{Name: "kill", Args: "<common name>|<address>:<port>", Help: "drop clients at once", Min: 1, Role: RoleOperate},
		{Name: "load-stats", Help: "number of clients and bytes in total", Role: RoleObserve},
		{Name: "log", Args: "on|off|all|<n>", Help: "log lines as they come, or the last ones", Min: 1, AtLeast: true, Words: [][]string{onOff}, Repeat: true, Role: RoleObserve},
		{Name: "mute", Args: "[<n>]", Help: "show or set after how many equal messages the log falls silent", Role: RoleOperate, Query: true},
		{Name: "nclients", Help: "number of connected clients", Role: RoleObserve},
		{Name: "needok", Args: "<type> ok|cancel", Help: "answer NEED-OK", Min: 2, Words: [][]string{nil, {"ok", "cancel"}}, Role: RoleAuth},
		{Name: "needstr", Args: "<type> <text>", Help: "answer NEED-STR", Min: 2, Role: RoleAuth},
		{Name: "net", Help: "adapters and routes (Windows)", Role: RoleObserve},
		{Name: "network-change", Args: "[samenetwork]", Help: "go on from the network this host is in now", Words: [][]string{{"samenetwork"}}, Role: RoleOperate},
		{Name: "password", Args: "<type> <text>", Help: "answer a PASSWORD prompt", Min: 2, Words: [][]string{secrets}, Role: RoleAuth},
		{Name: "pid", Help: "process id of the daemon", Role: RoleObserve},
		{Name: "pk-sig", Help: "answer PK_SIGN: base64 lines, then END", Block: true, Role: RoleAuth},
		{Name: "pkcs11-id-count", Help: "number of PKCS#11 identities", Role: RoleObserve},
		{Name: "pkcs11-id-get", Args: "<index>", Help: "one PKCS#11 identity", Min: 1, Role: RoleObserve},
		{Name: "proxy", Args: "NONE|HTTP|SOCKS [<host> <port> [nct]]", Help: "answer PROXY", Min: 1, AtLeast: true, Words: [][]string{{"NONE", "HTTP", "SOCKS"}, nil, nil, {"nct"}}, Role: RoleOperate},
		{Name: "push-update-broad", Args: "<options>", Help: "change pushed options of all clients (2.7)", Min: 1, Role: RoleAdmin},
		{Name: "push-update-cid", Args: "<CID> <options>", Help: "change pushed options of one client (2.7)", Min: 2, Role: RoleAdmin},
		{Name: "quit", Help: "end this session", Role: RoleObserve},
		{Name: "reload", Args: "[full]", Help: "read the configuration again and apply what can be; full restarts", Words: [][]string{{"full"}}, Role: RoleAdmin},
		{Name: "remote", Args: "ACCEPT|SKIP [<n>]|MOD <host> <port>", Help: "answer REMOTE", Min: 1, AtLeast: true, Words: [][]string{{"ACCEPT", "MOD", "SKIP"}}, Role: RoleOperate},
		{Name: "remote-entry-count", Help: "number of configured remotes", Role: RoleObserve},
		{Name: "remote-entry-get", Args: "<i> [<j>]|all", Help: "configured remotes from i up to before j", Min: 1, AtLeast: true, Words: [][]string{{"all"}}, Role: RoleObserve},
		{Name: "rsa-sig", Help: "answer RSA_SIGN: base64 lines, then END", Block: true, Role: RoleAuth},
		{Name: "scripts", Help: "the Lua scripts of this daemon, and how they are", Role: RoleObserve},
		{Name: "signal", Args: "<name>", Help: "act as if the daemon got this signal", Min: 1, Words: [][]string{Signals()}, Role: RoleOperate},
		{Name: "state", Args: "[on|off|all|<n>]", Help: "states as they come, or the last ones", Words: [][]string{onOff}, Repeat: true, Role: RoleObserve},
		{Name: "status", Args: "[<version>]", Help: "statistics, or the clients of a server", Words: [][]string{{"1", "2", "3"}}, Role: RoleObserve},
		{Name: "test", Args: "<n>", Help: "n lines of filler", Min: 1, Role: RoleObserve},
		{Name: "username", Args: "<type> <text>", Help: "answer a PASSWORD prompt", Min: 2, Words: [][]string{secrets}, Role: RoleAuth},
		{Name: "verb", Args: "[<n>]", Help: "show or set the verbosity of the log, 0 to 15", Role: RoleOperate, Query: true},
		{Name: "version", Args: "[<n>]", Help: "versions of the daemon, or announce the one this client speaks", Role: RoleObserve},
	}
	byName = func() map[string]*Command {
		m := make(map[string]*Command, len(commands))
		for i := range commands {
			m[commands[i].Name] = &commands[i]
		}
		return m
	}()
)

// Commands returns the command table in alphabetical order. It must not be changed.
func Commands() []Command { return commands }

// Lookup finds a command by its exact name, nil if there is none.
func Lookup(name string) *Command { return byName[name] }

// Complete returns the words that may stand as parameter number len(params) of the command params[0] and start with
// prefix, or the command names when params is empty.
func Complete(params []string, prefix string) []string {
	var from, out []string
	if len(params) == 0 {
		for i := range commands {
			from = append(from, commands[i].Name)
		}
	} else if c := Lookup(params[0]); c != nil && len(c.Words) > 0 {
		at := len(params) - 1
		if c.Repeat {
			at = min(at, len(c.Words)-1)
		}
		if at < len(c.Words) {
			from = c.Words[at]
		}
	}
	for _, w := range from {
		if strings.HasPrefix(w, prefix) {
			out = append(out, w)
		}
	}
	return out
}
