---@meta
-- Types of what moongate scripts see, for the Lua language server. This file is not for running.
error("type declarations are for the language server, they cannot be loaded")

---@class moongate
---@field args string[] arguments behind the script's name
moongate = {}

---Call fn for each event of this name, in the order of registration. A handler that returns false ends the row for this event.
---state, log, echo and bytecount switch the daemon's stream on; interval is the seconds between byte counts.
---@param event EventName
---@param fn fun(ev: Event): boolean?
---A handler has 30 seconds (--handler-timeout), waits included; timeout gives this one another limit.
---@param options? { interval?: number, timeout?: number }
---@return { off: fun() } handle its off() ends the subscription
function moongate.on(event, fn, options) end

---Call fn once after so many seconds; fractions count.
---@param seconds number
---@param fn fun()
---@return { stop: fun() } handle
function moongate.after(seconds, fn) end

---Call fn again and again. A slow run delays the next, two never overlap.
---@param seconds number
---@param fn fun()
---@return { stop: fun() } handle
function moongate.every(seconds, fn) end

---Wait. Other handlers go on meanwhile.
---@param seconds number
function moongate.sleep(seconds) end

---Wait for the next event of this name whose fields are equal to those of the filter. Handlers of the event see it too.
---@param event EventName
---@param filter table<string, any>?
---@param timeout number seconds
---@return Event? ev
---@return string? err "timeout"
function moongate.wait_for(event, filter, timeout) end

---Send a management command and wait for its reply. A table of words is quoted word by word. With block the lines follow up
---to END (client-auth, pk-sig, rsa-sig, certificate).
---@param command string|string[]
---@param block? string[]
---@return Reply? reply
---@return string? err the daemon's text
function moongate.send(command, block) end

---The newest state.
---@return StateTable? state
---@return string? err
function moongate.get_state() end

---Clients of a server, counters of a client.
---@return StatusTable? status
---@return string? err
function moongate.get_status() end

---What get_state returns.
---@return StateTable? state
---@return string? err
function moongate.state() end

---What get_status returns.
---@return StatusTable? status
---@return string? err
function moongate.status() end

---The clients of a server.
---@return table[]? clients as in StatusTable
---@return string? err
function moongate.clients() end

---Drop clients: one by its cid, all of a name, or all at an address (with a port: one). The reason is for the client; "HALT," in front tells it to
---stay away, "RESTART," to come back.
---
---ban keeps them out for so many seconds: the name of the client, which is compared with common names and usernames, or the address without its
---port. The script refuses banned clients before its handlers hear of them, and ends their sessions where logins are not asked about.
---Bans outlive the script if it may use the store (allow store). A ban of who is not connected is no error.
---@param which { cid?: integer, name?: string, address?: string, reason?: string, ban?: number }
---@return string? text
---@return string? err
function moongate.kill(which) end

---Lift a ban of this script. A row of bans() will do.
---@param who { name?: string, address?: string, seconds?: number, reason?: string }
---@return string? text
---@return string? err
function moongate.unban(who) end

---Whom this script keeps out: by name or by address, for how many seconds still, and the reason that the client is told. Scripts that use one store
---have their bans in common.
---@return { name?: string, address?: string, seconds: number, reason?: string }[]
function moongate.bans() end

---@param name "SIGHUP"|"SIGTERM"|"SIGUSR1"|"SIGUSR2"|"SIGINT"
---@return string? text
---@return string? err
function moongate.signal(name) end

---@return integer? pid
---@return string? err
function moongate.pid() end

---Show or set the verbosity of the log.
---@param n? integer
---@return integer|string|nil
---@return string? err
function moongate.verb(n) end

---Show or set after how many equal messages the log falls silent.
---@param n? integer
---@return integer|string|nil
---@return string? err
function moongate.mute(n) end

---Whether the next start will hold; with a word set it or leave the hold.
---@param word? "on"|"off"|"release"
---@return boolean|string|nil
---@return string? err
function moongate.hold(word) end

---@return { clients: integer, bytes_received: integer, bytes_sent: integer }? totals
---@return string? err
function moongate.load_stats() end

---@return { daemon: string, management: integer }? versions
---@return string? err
function moongate.version() end

---Call fn with what is, at once, and again whenever it changed, also in a session that begins later. prompts gives the events.
---@param what "state"|"clients"|"hold"|"prompts"
---@param fn fun(now: any)
---@return { off: fun() } handle
function moongate.observe(what, fn) end

---Put a NEED-OK question to the clients attached to the daemon's management port, and wait for the answer. For scripts of the daemon.
---@param name string letters, digits, dots, underscores and dashes
---@param text string
---@return boolean? ok
---@return string? err
function moongate.ask_ok(name, text) end

---Put a NEED-STR question to the clients attached to the daemon's management port, and wait for the answer. For scripts of the daemon.
---@param name string letters, digits, dots, underscores and dashes
---@param text string
---@return string? answer
---@return string? err
function moongate.ask_string(name, text) end

---Run a program without a shell. Needs --allow exec. Eight run at a time; each stream is cut after 1 MiB.
---@param command { [integer]: string, stdin?: string, timeout?: number, env?: table<string, string> } timeout in seconds, default 10
---@return { code: integer, stdout: string, stderr: string }? result
---@return string? err
function moongate.exec(command) end

---A secret from where it is kept: env:NAME, file:PATH, cmd:PROGRAM ARGS, pass:NAME, keyring:SERVICE/ACCOUNT, systemd:NAME, and totp: before any of
---them for a one-time code, which is given out once. Needs --allow secret; env allows env:, exec allows pass:, and cmd: needs exec. What it returns is
---hidden in everything the script prints and logs.
---@param ref string
---@return string? secret
---@return string? err
function moongate.secret(ref) end

---An environment variable, or nil. Needs --allow env.
---@param name string
---@return string?
function moongate.env(name) end

---One word as the daemon's lexer reads it back.
---@param word string
---@return string
function moongate.quote(word) end

---Unix time with fractions.
---@return number seconds
function moongate.now() end

---Bytes that nobody can guess, from the kernel, in hexadecimal: for states and tokens. math.random is for games.
---@param n integer bytes, 1 to 1024
---@return string hex of twice the length
function moongate.random(n) end

---End the script at once. code becomes the exit code of moongate run.
---@param code? integer 0 to 255, default 0
function moongate.stop(code) end

---@class Reply
---@field text string what followed "SUCCESS: "
---@field lines string[] lines of a list

---@class StateTable
---@field time integer
---@field name string
---@field detail string
---@field tun_ipv4 string
---@field tun_ipv6 string
---@field remote_addr string
---@field remote_port integer?
---@field local_addr string
---@field local_port integer?

---@class StatusTable
---@field server boolean
---@field clients table[] common_name, real_address, virtual_address, virtual_ipv6, bytes_received, bytes_sent, connected_since, username, cid, peer_id, cipher
---@field counters table<string, number>

---@alias EventName
---| '"*"' every notification
---| '"connected"' a session begins
---| '"lost"' the session ended
---| '"state"'
---| '"log"'
---| '"echo"'
---| '"bytecount"'
---| '"client.bytecount"'
---| '"client.connect"'
---| '"client.reauth"'
---| '"client.address"'
---| '"client.established"'
---| '"client.disconnect"'
---| '"client.cr_response"'
---| '"password.need"'
---| '"password.failed"'
---| '"password.token"'
---| '"needok"'
---| '"needstr"'
---| '"hold"'
---| '"remote"'
---| '"proxy"'
---| '"certificate.need"'
---| '"sign"'
---| '"notify"'
---| '"infomsg"'
---| '"info"'
---| '"fatal"'
---| '"up"'
---| '"down"'

---Fields an event does not have are nil.
---@class Event
---@field event EventName every event
---@field kind string every event: the notification's own word: STATE, CLIENT, …
---@field text string every event: what followed the colon
---@field env table<string, string> every event: the environment of client.*, up and down, else empty
---@field time integer state, log, echo
---@field name string state
---@field detail string state
---@field tun_ipv4 string state
---@field tun_ipv6 string state
---@field remote_addr string state
---@field remote_port integer? state
---@field local_addr string state
---@field local_port integer? state
---@field flags string log
---@field message string log, echo, needok, needstr, notify, infomsg, fatal, info
---@field bytes_received number bytecount, client.bytecount
---@field bytes_sent number bytecount, client.bytecount
---@field cid integer client.*, client.bytecount
---@field kid integer client.connect, client.reauth, client.cr_response
---@field username string? client.*: nil where there is none
---@field password string? client.connect, client.reauth
---@field common_name string? client.*: nil where there is none
---@field virtual_address string client.address
---@field primary boolean client.address: the client's own address
---@field response string client.cr_response: base64
---@field type string password.need, password.failed, needok, needstr, notify
---@field wants_username boolean password.need, password.failed
---@field wants_password boolean password.need, password.failed
---@field challenge string? password.need: text of a static challenge
---@field challenge_echo boolean password.need, password.failed
---@field challenge_concat boolean password.need, password.failed: the response is appended to the password
---@field reason string? password.failed
---@field crv1 { echo: boolean, state_id: string, username: string, text: string }? password.failed: a dynamic challenge
---@field token string password.token
---@field seconds integer hold
---@field host string remote, proxy
---@field port integer remote
---@field proto string remote, proxy
---@field index integer proxy
---@field hint string certificate.need
---@field data string sign: base64
---@field algorithm string? sign
---@field severity string notify
local Event = {}

---Answer a prompt. password.need takes a table: response answers a static challenge, with state_id a dynamic one. needok and
---needstr take the text.
---@param answer { username?: string, password?: string, response?: string, state_id?: string }|string
---@return Reply? reply
---@return string? err
function Event:answer(answer) end

---Confirm a needok question.
---@return Reply? reply
---@return string? err
function Event:ok() end

---Decline a needok question.
---@return Reply? reply
---@return string? err
function Event:cancel() end

---Admit a client (client.connect, client.reauth), with directives of a per-client configuration.
---@param directives? string[]
---@return Reply? reply
---@return string? err
function Event:admit(directives) end

---Refuse a client. reason goes to the daemon's log, client_reason to the client. One that begins with "TEMP:" refuses for now: clients from 2.6 on come again by themselves.
---@param reason? string
---@param options? { client_reason: string }
---@return Reply? reply
---@return string? err
function Event:deny(reason, options) end

---Tell a client that another step decides; a verdict must follow.
---@param extra string
---@param seconds integer
---@return Reply? reply
---@return string? err
function Event:pending(extra, seconds) end

---Let a held daemon start.
---@return Reply? reply
---@return string? err
function Event:release() end

---Answer a remote event: take the entry as it is.
---@return Reply? reply
---@return string? err
function Event:accept() end

---Answer a remote event: go on with the next entry, or n entries further.
---@param n? integer
---@return Reply? reply
---@return string? err
function Event:skip(n) end

---Answer a remote event: take this host and port.
---@param host string
---@param port string|integer
---@return Reply? reply
---@return string? err
function Event:modify(host, port) end

---Answer a proxy event.
---@param kind? "none"|"http"|"socks"
---@param host? string
---@param port? string|integer
---@return Reply? reply
---@return string? err
function Event:use(kind, host, port) end

---Answer a sign event with the bytes of the signature.
---@param bytes string
---@return Reply? reply
---@return string? err
function Event:sign(bytes) end

---Answer a certificate.need event with PEM text.
---@param pem string
---@return Reply? reply
---@return string? err
function Event:certificate(pem) end

---@class json
---@field null userdata stands for null
json = {}

---@param value any tables with keys 1..n are arrays
---@return string? text
---@return string? err
function json.encode(value) end

---@param text string
---@return any value
---@return string? err
function json.decode(text) end

base64 = {}

---@param bytes string
---@return string
function base64.encode(bytes) end

---@param text string
---@return string? bytes
---@return string? err
function base64.decode(text) end

otp = {}

---The one-time code of an authenticator app (RFC 6238).
---@param secret string base32
---@param options? { digits?: integer, period?: integer, algorithm?: "sha1"|"sha256"|"sha512", time?: number }
---@return string? code
---@return string? err
function otp.totp(secret, options) end

---A counter-based code (RFC 4226).
---@param secret string base32
---@param counter integer
---@param options? { digits?: integer, algorithm?: string }
---@return string? code
---@return string? err
function otp.hotp(secret, counter, options) end

log = {}

---@param message any
---@param fields? table<string, any>
function log.debug(message, fields) end

---@param message any
---@param fields? table<string, any>
function log.info(message, fields) end

---@param message any
---@param fields? table<string, any>
function log.warn(message, fields) end

---@param message any
---@param fields? table<string, any>
function log.error(message, fields) end

file = {}

---The whole of a file, at most 1 MiB. A relative name is below the script's folder. Needs --allow read=PATH, a file or folder.
---@param name string
---@return string? text
---@return string? err
function file.read(name) end

---Its lines.
---@param name string
---@return string[]? lines
---@return string? err
function file.lines(name) end

---Replace a file; it has the old content or the new, nothing between. Needs --allow write=FOLDER.
---@param name string
---@param text string
---@return true? ok
---@return string? err
function file.write(name, text) end

---Add to a file. One that would grow above max_bytes (default 10 MiB) is first moved to NAME.1, that to NAME.2, up to keep (default 3).
---Needs --allow write=FOLDER.
---@param name string
---@param text string
---@param options? { max_bytes?: integer, keep?: integer }
---@return true? ok
---@return string? err
function file.append(name, text, options) end

http = {}

---Ask a web server. Certificates are verified; the answer is at most 1 MiB. Needs --allow http.
---@param request { url: string, method?: string, headers?: table<string, string>, body?: string, timeout?: number } timeout in seconds, default 10
---@return { status: integer, headers: table<string, string>, body: string }? response names of headers are in lower case
---@return string? err
function http.request(request) end

---Serve requests on an address of the loopback, or a unix socket. Needs --allow http.
---@param address string "127.0.0.1:8080", "[::1]:0" or "/run/x.sock"
---@param fn fun(request: { method: string, path: string, query: table<string, string>, headers: table<string, string>, body: string }): { status?: integer, headers?: table<string, string>, body?: string }|string|nil
---@return { stop: fun(), address: string }? handle
---@return string? err
function http.serve(address, fn) end

store = {}

---@param key string
---@return string? text nil when there is none, or its time is over
---@return string? err
function store.get(key) end

---Keep a text, for ttl seconds if given. It outlives the script and the machine's restart. Needs --allow store, or store=FILE; by default the file
---lies beside the script and ends in .db.
---@param key string
---@param text string
---@param options? { ttl: number }
---@return true? ok
---@return string? err
function store.set(key, text, options) end

---@param key string
---@return true? ok
---@return string? err
function store.delete(key) end

---The keys that begin with prefix, in order, at most 10,000.
---@param prefix? string
---@return string[]? keys
---@return string? err
function store.keys(prefix) end
