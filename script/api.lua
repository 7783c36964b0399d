-- Verbs of moongate that are made of commands. The runtime gives the functions below; none of this is seen in errors and traces.
local mg, fail, nearest, native = ...
-- Globals belong to the script: what it does to them does not reach the verbs.
local ipairs, pairs, tonumber, tostring, type, encode, match = ipairs, pairs, tonumber, tostring, type, json.encode, string.match

local function text(reply, err)
  if not reply then return nil, err end
  return reply.text
end

local function number(name, command)
  local reply, err = mg.send(command)
  if not reply then return nil, err end
  return tonumber(match(reply.text, "^" .. name .. "=(-?%d+)"))
end

local function options(t, what, ...)
  for name in pairs(t) do
    local known = false
    for _, k in ipairs{ ... } do known = known or k == name end
    if not known then fail(what .. ": unknown field " .. tostring(name) .. nearest(tostring(name), { ... })) end
  end
end

mg.state, mg.status = mg.get_state, mg.get_status

function mg.clients()
  local s, err = mg.get_status()
  if not s then return nil, err end
  return s.clients
end

-- The clients that kill means, of those in the daemon's list.
local function meant(t)
  local list, err = mg.clients()
  if not list then return nil, err end
  local hit = {}
  local at, port = native.host(t.address or "")
  for _, c in ipairs(list) do
    if not t.cid and native.denied(c.cid) then -- it is going, and is told why
    elseif t.cid and c.cid == t.cid or t.name and c.common_name == t.name or
      t.address and (c.real_address == t.address or at and (not port or t.ban) and native.host(c.real_address) == at) then
      hit[#hit + 1] = c
    end
  end
  return hit
end

function mg.kill(t)
  if type(t) ~= "table" then fail("kill: want a table with cid, name or address") end
  options(t, "kill", "cid", "name", "address", "reason", "ban")
  if (t.cid and 1 or 0) + (t.name and 1 or 0) + (t.address and 1 or 0) ~= 1 then fail("kill: want one of cid, name and address") end
  if t.cid and type(t.cid) ~= "number" then fail("kill: cid must be a number") end
  if t.ban ~= nil and not (type(t.ban) == "number" and t.ban > 0 and t.ban < 1e9) then fail("kill: ban must be seconds above 0") end
  local at, port = native.host(t.address or "")
  local alone = t.ban == nil and (t.cid or t.reason == nil and (t.name or port or not at))
  if alone and t.cid then return text(mg.send{ "client-kill", tostring(t.cid), t.reason }) end
  if alone then return text(mg.send{ "kill", t.name or t.address }) end
  if t.ban and not t.cid then -- whether or not the clients can be found
    if t.address and not at then return nil, "kill: " .. t.address .. " is no address" end
    local ok, why = native.ban(t.name and "name" or "address", t.name or at, t.ban, t.reason)
    if not ok then return nil, why end
  end
  local hit, err = meant(t)
  if not hit then return nil, err end
  if t.ban and t.cid then
    local name = hit[1] and hit[1].common_name
    if not name then return nil, "no client has cid " .. t.cid .. " now: ban it by name or address" end
    if name == "" then return nil, "client " .. t.cid .. " has no name: ban its address" end
    local ok, why = native.ban("name", name, t.ban, t.reason)
    if not ok then return nil, why end
  elseif not hit[1] and not t.ban then
    return nil, "no client has the " .. (t.name and "name " .. t.name or "address " .. t.address)
  end
  local ended, failed = 0, nil
  for _, c in ipairs(hit) do
    local reply, why = mg.send{ "client-kill", tostring(c.cid), t.reason }
    if reply then ended = ended + 1 else failed = failed or why end
  end
  if failed then return nil, failed end
  return (t.ban and "banned, " or "") .. ended .. (ended == 1 and " client ended" or " clients ended")
end

function mg.unban(t)
  if type(t) ~= "table" then fail("unban: want a table with name or address") end
  options(t, "unban", "name", "address", "seconds", "reason")
  if (t.name and 1 or 0) + (t.address and 1 or 0) ~= 1 then fail("unban: want one of name and address") end
  local ok, err = native.unban(t.name and "name" or "address", t.name or native.host(t.address) or t.address)
  if not ok then return nil, err end
  return "unbanned"
end

mg.bans = native.bans

function mg.signal(name) return text(mg.send{ "signal", name }) end

function mg.pid() return number("pid", "pid") end

function mg.verb(n)
  if n then return text(mg.send("verb " .. n)) end
  return number("verb", "verb")
end

function mg.mute(n)
  if n then return text(mg.send("mute " .. n)) end
  return number("mute", "mute")
end

function mg.hold(word)
  if word then return text(mg.send("hold " .. word)) end
  local n, err = number("hold", "hold")
  if not n then return nil, err end
  return n == 1
end

function mg.load_stats()
  local reply, err = mg.send("load-stats")
  if not reply then return nil, err end
  local n, bytes_received, bytes_sent = match(reply.text, "nclients=(%d+),bytesin=(%d+),bytesout=(%d+)")
  return { clients = tonumber(n), bytes_received = tonumber(bytes_received), bytes_sent = tonumber(bytes_sent) }
end

function mg.version()
  local reply, err = mg.send("version")
  if not reply then return nil, err end
  local v = {}
  for _, line in ipairs(reply.lines) do
    v.daemon = v.daemon or match(line, "^OpenVPN Version: (.*)")
    v.management = v.management or tonumber(match(line, "^Management%D*(%d+)"))
  end
  return v
end

-- What can be observed: the events after which to look again, and how to look.
local sources = {
  state = { { "connected", "state" }, mg.get_state },
  clients = { { "connected", "client.established", "client.disconnect", "client.address" }, mg.clients },
  hold = { { "connected", "hold" }, mg.hold },
}

function mg.observe(what, fn)
  if what == "prompts" then
    local handles = {}
    for i, event in ipairs{ "password.need", "needok", "needstr" } do handles[i] = mg.on(event, fn) end
    return { off = function() for _, h in ipairs(handles) do h:off() end end }
  end
  local source = sources[what]
  if not source then fail("observe: unknown " .. tostring(what) .. nearest(tostring(what), { "state", "clients", "hold", "prompts" })) end
  local handles, last = {}, nil
  local function look()
    local now = source[2]()
    local written = now ~= nil and encode(now) or nil
    if now ~= nil and written ~= last then
      last = written
      fn(now)
    end
  end
  for i, event in ipairs(source[1]) do handles[i] = mg.on(event, look) end
  look()
  return { off = function() for _, h in ipairs(handles) do h:off() end end }
end
