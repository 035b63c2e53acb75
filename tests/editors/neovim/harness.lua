-- What the tests run inside of Neovim. `run` is called over Neovim's own remote interface.
local M = { notified = {}, progress = {}, menus = {}, waiting = nil }

vim.notify = function(message, level)
  table.insert(M.notified, { message = message, level = level or vim.log.levels.INFO })
end

-- The menu of code actions: a test names the entry that it wants.
vim.ui.select = function(items, options, choose)
  local titles = {}
  for at, item in ipairs(items) do
    titles[at] = options.format_item and options.format_item(item) or tostring(item)
  end
  table.insert(M.menus, titles)
  local function press(wanted)
    M.waiting = nil
    for at, title in ipairs(titles) do
      if wanted and vim.startswith(title, wanted) then
        return choose(items[at], at)
      end
    end
    choose(nil, nil)
  end
  if options.kind == 'codeaction' then
    return press(M.wanted)
  end
  -- The buttons of a message: they wait for the user.
  M.waiting = { text = options.prompt, press = press }
end

vim.api.nvim_create_autocmd('LspProgress', {
  callback = function(event)
    local value = event.data.params.value
    table.insert(M.progress, { kind = value.kind, text = value.message or value.title })
  end,
})

--- Run the Lua text that `encoded` holds, and return what it returns, as JSON.
function M.run(encoded)
  local chunk, fault = loadstring(vim.base64.decode(encoded))
  if not chunk then
    return vim.json.encode({ fault = fault })
  end
  local ok, result = xpcall(chunk, debug.traceback)
  if not ok then
    return vim.json.encode({ fault = result })
  end
  return vim.json.encode({ result = result == nil and vim.NIL or result })
end

--- Wait, with the editor alive, until `predicate` holds; return whether it did.
function M.wait(predicate)
  return (vim.wait(20000, predicate, 10))
end

return M
