#!/usr/bin/env -S moongate run
-- A journal of connections, a line of JSON each.
--
-- usage:  script journal.lua arg /var/log/vpn/journal.jsonl allow write=/var/log/vpn
--         Servers tell of clients that go only under management-client-auth.
--
-- A line is written when a client is there and when it goes:
--
--   {"address":"192.0.2.7:40000","bytes_received":10,"bytes_sent":20,"cid":3,"client":"joe","event":"disconnect","seconds":77,"time":1800000000}
--
-- Above 10 MiB the file is rotated; five old ones are kept.

local path = assert(moongate.args[1], "usage: journal.lua FILE")

local function write(ev, what)
  local e = ev.env
  local line = json.encode{
    event = what, time = math.floor(now()), client = ev.common_name, user = ev.username, cid = ev.cid,
    address = (e.trusted_ip or e.trusted_ip6 or e.untrusted_ip or "") .. ":" .. (e.trusted_port or e.untrusted_port or ""),
    tunnel = e.ifconfig_pool_remote_ip, bytes_received = tonumber(e.bytes_received), bytes_sent = tonumber(e.bytes_sent), seconds = tonumber(e.time_duration),
  }
  local ok, err = file.append(path, line .. "\n", { keep = 5 })
  if not ok then log.error(err) end
end

moongate.on("client.established", function(ev) write(ev, "connect") end)
moongate.on("client.disconnect", function(ev) write(ev, "disconnect") end)
