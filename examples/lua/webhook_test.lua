test("tells, in order, and tries again", function()
  local got, fail = {}, 2
  fake{ http = function(r)
    if fail > 0 then
      fail = fail - 1
      if fail == 1 then return nil, "connection refused" end
      return { status = 503, headers = {}, body = "" }
    end
    local b = json.decode(r.body)
    got[#got + 1] = b.event .. " " .. b.client .. " " .. b.cid .. " " .. b.address
    return { status = 204, headers = {}, body = "" }
  end }
  load("webhook.lua", "https://hooks.example/x")
  emit("client.established", { cid = 1, env = { common_name = "joe", trusted_ip = "192.0.2.7" } })
  emit("client.disconnect", { cid = 1, env = { common_name = "joe", trusted_ip = "192.0.2.7" } })
  emit("client.established", { cid = 2, env = { common_name = "ann" } })
  expect(got, {})
  clock.advance(1)
  expect(got, { "connect joe 1 192.0.2.7", "disconnect joe 1 192.0.2.7", "connect ann 2 " })
  expect_logged("connection refused")
end)

test("gives up in the end", function()
  fake{ http = function() return nil, "no route" end }
  load("webhook.lua", "https://hooks.example/x")
  emit("client.established", { cid = 1, env = {} })
  clock.advance(86400)
  expect_logged("given up")
end)
