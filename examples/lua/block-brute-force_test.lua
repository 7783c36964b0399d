local function try(cid, password, addr)
  emit("client.connect", { cid = cid, env = { username = "joe", password = password, untrusted_ip = addr or "192.0.2.7" } })
  return sent()[1]
end

local function play()
  fake{ exec = function(c) return { code = c.stdin == "joe\nright\n" and 0 or 1, stdout = "", stderr = "" } end }
  load("block-brute-force.lua", "/check")
end

local wrong, banned = [["wrong password" "wrong username or password"]], [[banned "too many wrong passwords"]]

test("bans after five, for longer each time", function()
  play()
  for i = 1, 5 do expect(try(i, "x"), "client-deny " .. i .. " 1 " .. wrong) end
  expect_logged("seconds=600")
  expect(try(6, "right"), "client-deny 6 1 " .. banned)
  expect(try(7, "right", "192.0.2.8"), "client-auth-nt 7 1")
  clock.advance(601)
  expect(try(8, "right"), "client-auth-nt 8 1")
  for i = 1, 5 do try(10 + i, "x") end
  expect_logged("seconds=3600")
  clock.advance(3000)
  expect(try(20, "right"), "client-deny 20 1 " .. banned)
end)

test("a right password forgives, time forgets", function()
  play()
  for i = 1, 4 do try(i, "x") end
  expect(try(5, "right"), "client-auth-nt 5 1")
  for i = 1, 4 do try(10 + i, "x") end
  clock.advance(601)
  expect(try(15, "x"), "client-deny 15 1 " .. wrong)
  expect(try(16, "right"), "client-auth-nt 16 1")
end)
