local function secrets()
  local n = 0
  fake{ secret = function(ref)
    if ref == "pass:vpn" then return "hush" end
    n = n + 1
    return "00000" .. n
  end }
end

test("the code follows the password", function()
  secrets()
  load("passwords-from-store.lua", "joe", "pass:vpn", "totp:pass:otp")
  emit(">PASSWORD:Need 'Auth' username/password")
  expect_sent{ "username Auth joe", "password Auth hush000001" }
  emit(">PASSWORD:Need 'Auth' username/password")
  expect_sent{ "username Auth joe", "password Auth hush000002" }
end)

test("the code answers a static challenge", function()
  secrets()
  load("passwords-from-store.lua", "joe", "pass:vpn", "totp:pass:otp")
  emit(">PASSWORD:Need 'Auth' username/password SC:1,Code?")
  expect_sent{ "username Auth joe", "password Auth SCRV1:" .. base64.encode("hush") .. ":" .. base64.encode("000001") }
end)

test("the code answers a dynamic challenge", function()
  secrets()
  load("passwords-from-store.lua", "joe", "pass:vpn", "totp:pass:otp")
  emit(">PASSWORD:Verification Failed: 'Auth' ['CRV1:R,E:Om01:am9l:Code?']")
  emit(">PASSWORD:Need 'Auth' username/password")
  expect_sent{ "username Auth joe", "password Auth CRV1::Om01::000001" }
end)

test("other prompts and the hold", function()
  secrets()
  load("passwords-from-store.lua", "joe", "pass:vpn")
  emit(">PASSWORD:Need 'Private Key' password")
  emit("hold")
  expect_sent{ "hold release" }
end)
