local function list(text)
  file.read = function() return text end
  load("groups-by-certificate.lua")
end

local groups = [[{"staff": ["route 10.10.0.0 255.255.0.0"], "guests": []}]]

test("pushes the routes of the group", function()
  list(groups)
  emit("client.connect", { cid = 1, env = { common_name = "joe", X509_0_OU = "staff" } })
  emit("client.connect", { cid = 2, env = { common_name = "eve", X509_0_OU = "guests" } })
  expect_sent{ [[client-auth 1 1 | push "route 10.10.0.0 255.255.0.0"]], "client-auth-nt 2 1" }
end)

test("refuses others", function()
  list(groups)
  emit("client.connect", { cid = 3, env = { X509_0_OU = "strangers" } })
  emit("client.reauth", { cid = 4, kid = 2, env = {} })
  expect_sent{ [[client-deny 3 1 "no group strangers" "not of a group"]], [[client-deny 4 2 "no group (no unit)" "not of a group"]] }
end)

test("refuses while the list is broken", function()
  list("{")
  emit("client.connect", { cid = 3, env = { X509_0_OU = "staff" } })
  expect_sent{ [[client-deny 3 1 "no list of groups" "TEMP:temporarily unavailable"]] }
end)
