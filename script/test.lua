-- What a test file sees beside everything a script sees. The runtime gives the functions.
local native = ...
local cases = native.cases

function test(name, fn)
  if type(name) ~= "string" or type(fn) ~= "function" then native.fail("test: want a name and a function") end
  cases[#cases + 1] = { name = name, fn = fn }
end

-- load runs a script: its globals are its own, what it registers stays for the rest of the test.
function load(path, ...)
  local env = setmetatable({}, { __index = _G })
  env._G = env
  moongate.args = { ... }
  local fn = setfenv(native.compile(path), env)
  fn()
  native.loaded()
  return env
end

local clients = {
  ["client.connect"] = "CONNECT", ["client.reauth"] = "REAUTH", ["client.established"] = "ESTABLISHED",
  ["client.disconnect"] = "DISCONNECT", ["client.cr_response"] = "CR_RESPONSE",
}

-- emit gives the script an event: a line of the port with its environment, or a name with fields.
function emit(event, fields)
  fields = fields or {}
  if event:sub(1, 1) == ">" then return native.emit(event, fields) end
  local word = clients[event]
  if word then
    local line = ">CLIENT:" .. word .. "," .. (fields.cid or 0)
    if word == "CONNECT" or word == "REAUTH" or word == "CR_RESPONSE" then line = line .. "," .. (fields.kid or 1) end
    if fields.response then line = line .. "," .. base64.encode(fields.response) end
    return native.emit(line, fields.env or {})
  elseif event == "client.bytecount" then
    return native.emit((">BYTECOUNT_CLI:%d,%d,%d"):format(fields.cid, fields.bytes_received, fields.bytes_sent), {})
  elseif event == "state" then
    return native.emit((">STATE:%d,%s,%s,%s,,,,"):format(now(), fields.name or "", fields.detail or "", fields.tun_ipv4 or ""), {})
  elseif event == "hold" then
    return native.emit(">HOLD:Waiting for hold release:" .. (fields.seconds or 0), {})
  end
  local typ = fields.type or "Auth"
  if event == "password.need" then
    local flags = (fields.challenge_echo and 1 or 0) + (fields.challenge_concat and 2 or 0)
    local challenge = fields.challenge and (" SC:%d,%s"):format(flags, fields.challenge) or ""
    return native.emit((">PASSWORD:Need '%s' %s%s"):format(typ, fields.wants_username == false and "password" or "username/password", challenge), {})
  elseif event == "password.failed" then
    return native.emit(">PASSWORD:Verification Failed: '" .. typ .. "'" .. (fields.reason and " ['" .. fields.reason .. "']" or ""), {})
  elseif event == "needok" or event == "needstr" then
    local kind, word = "NEED-OK", "confirmation"
    if event == "needstr" then kind, word = "NEED-STR", "input" end
    return native.emit((">%s:Need '%s' %s MSG:%s"):format(kind, fields.type or "", word, fields.message or ""), {})
  elseif event == "remote" then
    return native.emit((">REMOTE:%s,%s,%s"):format(fields.host or "", fields.port or 1194, fields.proto or "udp"), {})
  end
  native.fail("emit: unknown event " .. event .. ", want a line of the port (>KIND:TEXT) or one of state, hold, password.need, password.failed, needok, needstr, remote, " ..
    "client.bytecount and the client events")
end

clock = { advance = native.advance, set = native.set }

function reply(command, text) native.reply(command, text) end

-- The columns of a server's list of clients, and the fields that they are for scripts.
local columns = {
  { "Common Name", "common_name" }, { "Real Address", "real_address" }, { "Virtual Address", "virtual_address" }, { "Virtual IPv6 Address", "virtual_ipv6" },
  { "Bytes Received", "bytes_received" }, { "Bytes Sent", "bytes_sent" }, { "Connected Since (time_t)", "connected_since" }, { "Username", "username" },
  { "Client ID", "cid" }, { "Peer ID", "peer_id" }, { "Data Channel Cipher", "cipher" },
}

-- clientList is the reply to "status 3" that tells of these clients.
local function clientList(list)
  local head, lines = { "HEADER", "CLIENT_LIST" }, { "TITLE\ttest" }
  local known = {}
  for _, c in ipairs(columns) do head[#head + 1] = c[1] known[c[2]] = true end
  lines[2] = table.concat(head, "\t")
  for _, client in ipairs(list) do
    local row = { "CLIENT_LIST" }
    for name in pairs(client) do
      if not known[name] then native.fail("fake: a client has no field " .. tostring(name)) end
    end
    for _, c in ipairs(columns) do
      local v = client[c[2]]
      if v == nil then v = (c[2]:find("bytes") or c[2] == "connected_since") and 0 or "" end
      row[#row + 1] = tostring(v)
    end
    lines[#lines + 1] = table.concat(row, "\t")
  end
  lines[#lines + 1] = "END"
  return table.concat(lines, "\n")
end

function fake(t)
  for name, v in pairs(t) do
    if name == "clients" then
      native.reply("status 3", clientList(v))
    elseif name ~= "exec" and name ~= "http" and name ~= "secret" and name ~= "env" then
      native.fail("fake: unknown " .. tostring(name) .. ", want exec, http, secret, env or clients")
    else
      native.fakes[name] = v
    end
  end
end

exec = function(command)
  if not native.fakes.exec then native.fail("exec is not faked: fake{ exec = function(command) return { code = 0, stdout = \"\", stderr = \"\" } end }") end
  return native.fakes.exec(command)
end
moongate.exec = exec

http = {
  request = function(request)
    if not native.fakes.http then native.fail("http is not faked: fake{ http = function(request) return { status = 200, headers = {}, body = \"\" } end }") end
    return native.fakes.http(request)
  end,
  -- The handle's call(request) stands for a request from outside.
  serve = function(address, fn) native.served[address] = fn return { address = address, stop = function() native.served[address] = nil end } end,
}

function visit(address, request)
  local fn = native.served[address] or native.fail("nothing is served at " .. address)
  request.query, request.headers, request.body = request.query or {}, request.headers or {}, request.body or ""
  return fn(request)
end

secret = function(ref)
  if not native.fakes.secret then native.fail("secret is not faked: fake{ secret = function(ref) return \"…\" end }") end
  return native.fakes.secret(ref)
end
moongate.secret = secret

env = function(name)
  if not native.fakes.env then native.fail("env is not faked: fake{ env = function(name) return nil end }") end
  return native.fakes.env(name)
end
moongate.env = env

local function show(v)
  if type(v) == "table" then return json.encode(v) or tostring(v) end
  if type(v) == "string" then return ("%q"):format(v) end
  return tostring(v)
end

local function lines(title, got, want)
  local out = { title }
  for i = 1, math.max(#got, #want) do
    if got[i] == want[i] then
      out[#out + 1] = "    " .. tostring(got[i])
    else
      if want[i] then out[#out + 1] = "  - " .. tostring(want[i]) end
      if got[i] then out[#out + 1] = "  + " .. tostring(got[i]) end
    end
  end
  native.fail(table.concat(out, "\n"))
end

local function compare(title, got, want)
  if #got ~= #want then lines(title, got, want) end
  for i = 1, #want do
    if got[i] ~= want[i] then lines(title, got, want) end
  end
end

function sent() return native.take("sent") end
function printed() return native.take("printed") end
function logged() return native.take("logged") end
function written() return native.take("written") end

function expect_sent(want) compare("what was sent (- wanted, + sent):", sent(), want) end
function expect_printed(want) compare("what was printed (- wanted, + printed):", printed(), want) end
function expect_written(want) compare("what was written (- wanted, + written):", written(), want) end

function expect_logged(text)
  local all = logged()
  for _, l in ipairs(all) do
    if l:find(text, 1, true) then return end
  end
  native.fail("no log line with " .. show(text) .. " in:\n  " .. table.concat(all, "\n  "))
end

function expect(got, want, what)
  local same = got == want
  if type(got) == "table" and type(want) == "table" then same = json.encode(got) == json.encode(want) end
  if not same then native.fail((what and what .. ": " or "") .. "got " .. show(got) .. ", want " .. show(want)) end
end

-- play emits what a recording of moongate record has from the daemon, at its times.
function play(path)
  local last = 0
  for _, l in ipairs(native.recording(path)) do
    if l.at > last then clock.advance(l.at - last) last = l.at end
    native.emit(l.text, l.env)
  end
end
