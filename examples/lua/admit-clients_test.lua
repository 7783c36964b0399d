local key = "JBSWY3DPEHPK3PXP"

local function play()
  file.read = function() return [[{"laptop": {"config": ["push x"]}, "phone": {"totp": "]] .. key .. [["}}]] end
  load("admit-clients.lua")
end

test("the list", function()
  play()
  emit("client.connect", { cid = 1, env = { common_name = "laptop" } })
  emit("client.connect", { cid = 2, env = { common_name = "stranger" } })
  emit("client.reauth", { cid = 1, kid = 2, env = { common_name = "laptop" } })
  expect_sent{ "client-auth 1 1 | push x", [[client-deny 2 1 "not in the list" "not admitted"]], "client-auth 1 2 | push x" }
end)

test("codes", function()
  play()
  for cid, code in ipairs{ otp.totp(key, { time = now() }), "000000" } do
    emit("client.connect", { cid = cid, env = { common_name = "phone", IV_SSO = "crtext" } })
    emit("client.cr_response", { cid = cid, response = code })
  end
  expect_sent{
    [[client-pending-auth 1 1 "CR_TEXT:R,E:Code of your authenticator" 60]], "client-auth-nt 1 1",
    [[client-pending-auth 2 1 "CR_TEXT:R,E:Code of your authenticator" 60]], [[client-deny 2 1 "wrong code" "not admitted"]],
  }
end)
