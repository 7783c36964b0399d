#!/usr/bin/env -S moongate run
-- Refuses addresses that guess passwords, for longer each time. The bans outlive a restart.
--
-- usage:  script block-brute-force.lua arg PROGRAM allow exec,store=/var/lib/moongate/bans.db       in a server with management-client-auth
--
-- PROGRAM gets the username and the password as two lines of its standard input; status 0 admits. Five wrong passwords from an address within ten
-- minutes ban it for ten minutes, the next five for an hour, then for a day.

local program = assert(moongate.args[1], "usage: block-brute-force.lua PROGRAM")
local tries, window, bans = 5, 600, { 600, 3600, 86400 }

local function wrong(addr)
  local n = tonumber(store.get("tries " .. addr) or 0) + 1
  if n < tries then
    store.set("tries " .. addr, tostring(n), { ttl = window })
    return
  end
  local times = math.min(tonumber(store.get("times " .. addr) or 0) + 1, #bans)
  store.set("times " .. addr, tostring(times), { ttl = 7 * 86400 })
  store.delete("tries " .. addr)
  log.warn("banned", { address = addr, seconds = bans[times] })
  assert(kill{ address = addr, ban = bans[times], reason = "HALT,too many wrong passwords" })
end

local function decide(ev)
  local addr = assert(ev.env.untrusted_ip or ev.env.untrusted_ip6, "a client without an address")
  local r, err = exec{ program, stdin = (ev.username or "") .. "\n" .. (ev.password or "") .. "\n" }
  if not r then
    log.error(err)
    ev:deny("the password could not be checked", { client_reason = "TEMP:temporarily unavailable" })
  elseif r.code == 0 then
    store.delete("tries " .. addr)
    ev:admit()
  else
    ev:deny("wrong password", { client_reason = "wrong username or password" })
    wrong(addr)
  end
end

moongate.on("client.connect", decide)
moongate.on("client.reauth", decide)
