local function play(code)
  fake{
    secret = function() return "hush" end,
    exec = function(c) return { code = code, stdout = c[1] .. " " .. c.stdin:gsub("%s", "") .. "\nmore\n", stderr = "" } end,
  }
  load("challenges.lua", "joe", "env:X", "tool")
end

test("static", function()
  play(0)
  emit(">PASSWORD:Need 'Auth' username/password SC:0,PIN?")
  expect_sent{ "username Auth joe", "password Auth SCRV1:" .. base64.encode("hush") .. ":" .. base64.encode("tool PIN?") }
end)

test("dynamic", function()
  play(0)
  emit(">PASSWORD:Verification Failed: 'Auth' ['CRV1:R:Om01:am9l:Number?']")
  emit(">PASSWORD:Need 'Auth' username/password")
  expect_sent{ "username Auth joe", [[password Auth "CRV1::Om01::tool Number?"]] }
end)

test("none", function()
  play(0)
  emit(">PASSWORD:Need 'Auth' username/password")
  expect_sent{ "username Auth joe", "password Auth hush" }
end)

test("a program that fails leaves the prompt to others", function()
  play(1)
  emit(">PASSWORD:Need 'Auth' username/password SC:0,PIN?")
  expect_sent{}
  expect_logged("tool ended with 1")
end)
