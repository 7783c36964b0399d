#!/usr/bin/env -S moongate run
-- Admits the clients of a list, some with a one-time code on top, and refuses all others.
--
-- usage:  moongate run admit-clients.lua --allow read=clients.json
--         script admit-clients.lua allow read=clients.json [arg clients.json]     in the configuration of a server
--
-- The server has management-client-auth, and auth-user-pass-optional where clients have a certificate and no password. The file
-- lies beside this script and is read anew for every client:
--
--   { "laptop": { "config": ["push \"route 10.20.0.0 255.255.0.0\""] },
--     "phone":  { "totp": "JBSWY3DPEHPK3PXP" } }
--
-- "config" are lines of a per-client configuration. "totp" is the base32 secret of an authenticator app: the client is asked
-- for a code, which takes a client that announces "crtext" (IV_SSO).

local name = moongate.args[1] or "clients.json"
local seconds = 60 -- to type a code

local asked = {} -- cid -> { event = …, client = … }, until the code comes

local function find(ev)
  local text, clients, err
  text, err = file.read(name)
  if text then
    clients, err = json.decode(text)
  end
  if not clients then
    log.error(err, { file = name })
    return nil
  end
  return clients[ev.common_name]
end

-- The verdict, and a line about it.
local function decide(ev, ok, client, why)
  local reply, err
  if ok then
    reply, err = ev:admit(client.config)
  else
    reply, err = ev:deny(why, { client_reason = "not admitted" })
  end
  if not reply then
    log.error(err, { client = ev.common_name, cid = ev.cid })
    return
  end
  log.info(ok and "admitted" or "refused", { client = ev.common_name, cid = ev.cid, reason = why })
end

-- The code of now, or of half a minute ago for those who type slowly.
local function right(code, secret)
  for _, back in ipairs { 0, 30 } do
    if code == assert(otp.totp(secret, { time = moongate.now() - back })) then
      return true
    end
  end
  return false
end

moongate.on("client.connect", function(ev)
  local client = find(ev)
  if not client then
    decide(ev, false, nil, "not in the list")
  elseif not client.totp then
    decide(ev, true, client)
  elseif not (ev.env.IV_SSO or ""):find("crtext", 1, true) then
    decide(ev, false, nil, "its client cannot ask for a code")
  else
    asked[ev.cid] = { event = ev, client = client }
    local reply, err = ev:pending("CR_TEXT:R,E:Code of your authenticator", seconds)
    if not reply then
      log.error(err, { client = ev.common_name, cid = ev.cid })
    end
  end
end)

moongate.on("client.cr_response", function(ev)
  local a = asked[ev.cid]
  if a then
    asked[ev.cid] = nil
    local ok = right(base64.decode(ev.response), a.client.totp)
    decide(a.event, ok, a.client, not ok and "wrong code" or nil)
  end
end)

-- A renewed key: a client that is in stays in, as long as the list says so.
moongate.on("client.reauth", function(ev)
  local client = find(ev)
  decide(ev, client ~= nil, client, not client and "not in the list any more" or nil)
end)

moongate.on("client.disconnect", function(ev)
  asked[ev.cid] = nil
end)
