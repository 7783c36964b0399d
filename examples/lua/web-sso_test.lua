local function connect(cid)
  emit("client.connect", { cid = cid, env = { common_name = "joe", IV_SSO = "webauth,crtext", session_id = "s" .. cid } })
  local line = sent()[1]
  return line:match("%?state=(%w+)"), line
end

local function verdict(state, user, ok)
  return visit("127.0.0.1:8123", { method = "POST", path = "/verdict", body = json.encode{ state = state, user = user, ok = ok } })
end

test("admits who signed in", function()
  load("web-sso.lua", "https://sso.example/login")
  local state, line = connect(1)
  expect(line:match("^(client%-pending%-auth 1 1 WEB_AUTH::https://sso.example/login)") ~= nil, true, line)
  clock.advance(5)
  expect(verdict(state, "joe", true).status, 200)
  clock.advance(1)
  expect_sent{ "client-auth-nt 1 1" }
  expect(verdict(state, "joe", true).status, 404, "a state is used once")
end)

test("refuses others", function()
  load("web-sso.lua", "https://sso.example/login")
  local state = connect(1)
  expect(verdict(state, "eve", true).status, 403)
  clock.advance(1)
  expect_sent{ [[client-deny 1 1 "refused by the web service" "not signed in"]] }
  connect(2)
  clock.advance(121)
  expect_sent{ [[client-deny 2 1 "no verdict in time" "not signed in"]] }
  emit("client.connect", { cid = 3, env = { common_name = "old" } })
  expect_sent{ [[client-deny 3 1 "its client cannot open a page" "a newer client is needed"]] }
  expect(verdict("nonsense", "joe", true).status, 404)
  expect(visit("127.0.0.1:8123", { method = "GET", path = "/" }).status, 404)
end)
