-- Functions that can wait. What runs is always a coroutine; a function that waits yields the mark and a request, and whoever
-- resumed it passes both on, up to the runtime. So handlers may wait inside pcall and inside coroutines of their own.
local rawyield, rawresume, rawcreate, status, mark, done, finish, callable, native, error, type = ... -- no globals: they belong to the script

-- After a yield the values arrive as they were given: this brings them to the number that the caller wants.
local function fit(...) return ... end

local function yield(...) return fit(rawyield(...)) end

local function step(co, ok, first, ...)
  if ok and first == mark then
    return step(co, rawresume(co, fit(rawyield(first, ...))))
  end
  return ok, first, ...
end

local function resume(co, ...) return step(co, rawresume(co, ...)) end

-- A coroutine that begins with a function in Go would lose its results.
local function create(fn)
  if not native(fn) then return rawcreate(fn) end
  return rawcreate(function(...) return fn(...) end)
end

local function raise(ok, ...)
  if ok then return ... end
  error((...), 0)
end

local function wrap(fn)
  local co = create(fn)
  return function(...) return raise(step(co, rawresume(co, ...))) end
end

local function through(co, ok, ...)
  if ok and status(co) == "suspended" then
    return through(co, rawresume(co, fit(rawyield(...))))
  end
  return ok, ...
end

local function pcall(fn, ...)
  if type(fn) ~= "function" then
    local called = fn
    if not callable(fn) then return false, "attempt to call a " .. type(fn) .. " value" end
    fn = function(...) return called(...) end
  end
  local co = create(fn)
  return through(co, rawresume(co, ...))
end

local function handled(handler, ok, ...)
  if ok then return ok, ... end
  return false, handler((...))
end

local function xpcall(fn, handler, ...) return handled(handler, pcall(fn, ...)) end

-- One coroutine runs many calls, one after the other.
local function worker(fn, arg)
  while true do
    fn, arg = fit(finish(done, fn(arg)))
  end
end

local function waiting(fn)
  return function(...) return fit(fn(...)) end
end

local function requirer(find, keep)
  return function(name)
    local module, make = find(name)
    if not make then return module end
    return keep(name, make(name))
  end
end

return yield, resume, create, wrap, pcall, xpcall, worker, waiting, requirer
