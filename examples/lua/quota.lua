#!/usr/bin/env -S moongate run
-- A quota of bytes per user and day: a warning in the log at 80 %, the end of the session at 100 %.
--
-- usage:  script quota.lua arg MEGABYTES allow store=/var/lib/moongate/quota.db
--
-- Both directions count. The counts are kept in the store, so that a restart does not forget them, and end with the day (UTC).

local limit = assert(tonumber(moongate.args[1]), "usage: quota.lua MEGABYTES") * 1e6
local names, seen, warned = {}, {}, {} -- by cid

local function key(name) return os.date("!%Y-%m-%d ", math.floor(now())) .. name end

local function used(name) return tonumber(store.get(key(name)) or 0) end

local function over(cid, name) kill{ cid = cid, reason = "HALT,the quota of today is used up" } log.warn("quota used up", { user = name }) end

moongate.on("client.established", function(ev)
  names[ev.cid], seen[ev.cid] = ev.username or ev.common_name, 0
  if used(names[ev.cid]) >= limit then over(ev.cid, names[ev.cid]) end
end)

moongate.on("client.bytecount", function(ev)
  local name = names[ev.cid]
  if not name then return end
  local total = ev.bytes_received + ev.bytes_sent
  local sum = used(name) + total - seen[ev.cid]
  seen[ev.cid] = total
  assert(store.set(key(name), tostring(sum), { ttl = 2 * 86400 }))
  if sum >= limit then
    over(ev.cid, name)
  elseif sum >= 0.8 * limit and not warned[ev.cid] then
    warned[ev.cid] = true
    log.warn("80 % of the quota are used", { user = name })
  end
end, { interval = 10 })

moongate.on("client.disconnect", function(ev) names[ev.cid], seen[ev.cid], warned[ev.cid] = nil, nil, nil end)
