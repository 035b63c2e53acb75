--- What Neovim does not do by itself for Goalmap's language server: it asks the server's questions before a component
--- is generated, takes over what the server wrote to disk, and shows prompts that follow every edit.
---
--- Neovim 0.11 and later:  vim.lsp.enable('goalmap')
--- Neovim 0.10:            require('goalmap').setup()
local M = {}

local NAME = 'goalmap'
local MAP = 'goal_map.json'
local has_11 = vim.fn.has('nvim-0.11') == 1

--- What `setup` takes, with its defaults.
M.options = {
  cmd = { 'goalmap', 'lsp' },
  --- As `goalmap.*` in the documentation: `{ model = { name = '…' } }`.
  settings = {},
  --- Show the progress of a generation in the message line. Turn it off where a plugin or the status line does it.
  progress = true,
  --- Open a generated component beside its map. The cursor stays where it is.
  open_component = true,
}

-- Neovim 0.11 made a client's functions methods.
local function request(client, method, params, handler, bufnr)
  if has_11 then
    return client:request(method, params, handler, bufnr)
  end
  return client.request(method, params, handler, bufnr)
end

local function notify(message, level)
  vim.notify('Goalmap: ' .. message, level or vim.log.levels.INFO)
end

local function execute(client, command, arguments, bufnr, done)
  request(client, 'workspace/executeCommand', { command = command, arguments = arguments }, function(err, result)
    if err then
      return notify(err.message, vim.log.levels.ERROR)
    end
    if done then
      done(result)
    end
  end, bufnr)
end

-- The client of the current buffer, and the buffer's number.
local function here()
  local bufnr = vim.api.nvim_get_current_buf()
  local client = vim.lsp.get_clients({ name = NAME, bufnr = bufnr })[1]
  if not client then
    notify('this buffer belongs to no library: open a ' .. MAP .. ' or one of its components', vim.log.levels.WARN)
  end
  return client, bufnr
end

-- Questions -----------------------------------------------------------------------------------------------------------

-- Ask for each of `fields` in turn; `done` gets the answers. Whoever leaves a question has declined the whole; an empty
-- answer is one, unless the field is required.
local function ask(fields, answers, done)
  local field = fields[#answers + 1]
  if not field then
    return done(answers)
  end
  local place = #fields > 1 and ('(%d of %d) '):format(#answers + 1, #fields) or ''
  local prompt = place .. field.description .. ': '
  if type(field.error) == 'string' then
    prompt = field.error .. '\n' .. prompt
  end
  local default = type(field.default) == 'string' and field.default or ''
  vim.ui.input({ prompt = prompt, default = default }, function(value)
    if value == nil or (field.required and vim.trim(value) == '') then
      return notify('nothing was generated, for want of a description', vim.log.levels.WARN)
    end
    ask(fields, vim.list_extend(answers, { { id = field.id, value = value } }), done)
  end)
end

-- Run a command after the server's questions about it, if it has any: `command/resolve` until no field is left.
local function resolve_and_run(command, context)
  local client = assert(vim.lsp.get_client_by_id(context.client_id))
  local function step(params)
    request(client, 'command/resolve', params, function(err, resolved)
      if err then
        return notify(err.message, vim.log.levels.ERROR)
      end
      local fields = resolved.formFields
      if type(fields) ~= 'table' or #fields == 0 then
        return execute(client, resolved.command, resolved.arguments, context.bufnr)
      end
      ask(fields, {}, function(answers)
        step({ command = resolved.command, arguments = resolved.arguments, formAnswers = answers })
      end)
    end, context.bufnr)
  end
  step({ command = command.command, arguments = command.arguments })
end

vim.lsp.commands['goalmap.generateComponent'] = resolve_and_run
vim.lsp.commands['goalmap.generateAll'] = resolve_and_run

-- What the server wrote -------------------------------------------------------------------------------------------------

-- Have a buffer without changes of its own take what is on disk now; one with changes is left to its user.
local function reload(uri)
  local bufnr = vim.fn.bufnr(vim.uri_to_fname(uri))
  if bufnr < 0 or not vim.api.nvim_buf_is_loaded(bufnr) or vim.bo[bufnr].modified then
    return
  end
  local autoread = vim.bo[bufnr].autoread
  vim.bo[bufnr].autoread = true
  vim.cmd('silent! checktime ' .. bufnr)
  vim.bo[bufnr].autoread = autoread
end

local LEVELS = { failed = vim.log.levels.ERROR, conflict = vim.log.levels.WARN }

local function generated(_, params)
  reload(params.mapUri)
  local hint = params.outcome == 'committed' and ' :GoalmapUndo takes it back.' or ''
  notify(params.message .. hint, LEVELS[params.outcome])
  if params.componentUri and M.options.open_component then
    vim.lsp.util.show_document({ uri = params.componentUri }, 'utf-16', { focus = false, reuse_win = true })
  end
end

local function written(_, params)
  reload(params.uri)
end

-- Prompts that follow every edit ------------------------------------------------------------------------------------------

-- By the preview's buffer: the client, the map's URI, and the goal that it shows.
local previews = {}

local function refresh(bufnr, preview)
  local params = { uri = preview.uri, goal = preview.goal }
  request(preview.client, 'goalmap/prompt', params, function(err, prompt)
    if err or not vim.api.nvim_buf_is_valid(bufnr) then
      return
    end
    local text = type(prompt) == 'table' and prompt.text or 'There is no goal of this name any more.\n'
    vim.bo[bufnr].modifiable = true
    vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, vim.split(text:gsub('\n$', ''), '\n', { plain = true }))
    vim.bo[bufnr].modifiable = false
    vim.bo[bufnr].modified = false
  end, preview.bufnr)
end

local function prompt_changed(_, params)
  for bufnr, preview in pairs(previews) do
    if preview.uri == params.uri then
      refresh(bufnr, preview)
    end
  end
end

local function show_preview(preview)
  local name = 'goalmap-prompt://' .. table.concat(preview.goal, '/')
  local bufnr = vim.fn.bufnr('^' .. vim.fn.escape(name, '*?[]{},\\') .. '$')
  if bufnr < 0 then
    bufnr = vim.api.nvim_create_buf(false, true)
    vim.api.nvim_buf_set_name(bufnr, name)
    vim.bo[bufnr].bufhidden = 'wipe'
    vim.bo[bufnr].filetype = 'markdown'
    vim.api.nvim_create_autocmd('BufWipeout', {
      buffer = bufnr,
      callback = function()
        previews[bufnr] = nil
      end,
    })
  end
  previews[bufnr] = preview
  if vim.fn.bufwinid(bufnr) < 0 then
    vim.api.nvim_open_win(bufnr, false, { split = 'right' })
  end
  refresh(bufnr, preview)
end

-- The lens above a goal; `vim.lsp.codelens.run()` is a click on it.
vim.lsp.commands['goalmap.previewPrompt'] = function(command, context)
  local client = assert(vim.lsp.get_client_by_id(context.client_id))
  local target = command.arguments[1]
  show_preview({ client = client, bufnr = context.bufnr, uri = target.uri, goal = target.goal })
end

-- The lens in a component: the goals that use it, in the quickfix list.
vim.lsp.commands['goalmap.showReferences'] = function(command, context)
  local client = assert(vim.lsp.get_client_by_id(context.client_id))
  local items = vim.lsp.util.locations_to_items(command.arguments[3], client.offset_encoding)
  vim.fn.setqflist({}, ' ', { title = command.title, items = items })
  vim.cmd('botright copen')
end

-- Commands ------------------------------------------------------------------------------------------------------------------

--- Stop every generation that is under way.
function M.cancel()
  for _, client in ipairs(vim.lsp.get_clients({ name = NAME })) do
    execute(client, 'goalmap.cancelGeneration', {}, 0)
  end
end

--- Take back the last generated component of the current buffer's library.
function M.undo()
  local client, bufnr = here()
  if client then
    execute(client, 'goalmap.undo', { { uri = vim.uri_from_bufnr(bufnr) } }, bufnr)
  end
end

--- Show the prompt of the goal under the cursor, in a window beside the map. It follows every edit.
function M.preview()
  local client, bufnr = here()
  if not client then
    return
  end
  local position = vim.lsp.util.make_position_params(0, client.offset_encoding)
  request(client, 'goalmap/goalAt', position, function(err, found)
    if err or type(found) ~= 'table' then
      return notify('the cursor is on no goal', vim.log.levels.WARN)
    end
    local uri = position.textDocument.uri
    show_preview({ client = client, bufnr = bufnr, uri = uri, goal = found.goal })
  end, bufnr)
end

-- The client --------------------------------------------------------------------------------------------------------------

local function show_progress(event)
  local client = vim.lsp.get_client_by_id(event.data.client_id)
  if not M.options.progress or not client or client.name ~= NAME then
    return
  end
  local value = event.data.params.value
  local text = value.kind == 'end' and '' or (value.message or value.title or '')
  -- One line: more would stop at the hit-enter prompt.
  text = vim.fn.strcharpart(text:gsub('%s+', ' '), 0, math.max(vim.o.columns - 20, 10))
  vim.api.nvim_echo({ { text } }, false, {})
end

vim.api.nvim_create_autocmd('LspProgress', {
  group = vim.api.nvim_create_augroup('goalmap', {}),
  callback = show_progress,
})

-- The folder of the library that a file belongs to: a map's own, or that around the `components` folder it is in.
local function library_of(path)
  if vim.fs.basename(path) == MAP then
    return vim.fs.dirname(path)
  end
  local components = path:match('^(.+)/components/')
  while components do
    if vim.uv.fs_stat(components .. '/' .. MAP) then
      return components
    end
    components = components:match('^(.+)/components/')
  end
end

--- Return the workspace of a buffer: the repository that its library is in, or the library itself; nil for a buffer
--- that belongs to no library.
function M.root(bufnr)
  local library = library_of(vim.fs.normalize(vim.api.nvim_buf_get_name(bufnr)))
  local repository = library and vim.fs.root(library, '.git')
  -- A home folder under version control is no place to look for libraries in.
  if repository and repository ~= vim.fs.normalize('~') then
    return repository
  end
  return library
end

--- Return the configuration for `vim.lsp.config`.
function M.config()
  return {
    cmd = M.options.cmd,
    settings = { goalmap = M.options.settings },
    root_dir = function(bufnr, on_dir)
      local root = M.root(bufnr)
      if root then
        on_dir(root)
      end
    end,
    capabilities = {
      experimental = {
        interactiveResolve = { inputTypes = { 'string' } },
        goalmap = {
          reloadsCleanFiles = true,
          showsGenerated = true,
          livePrompt = true,
          commands = { 'goalmap.previewPrompt', 'goalmap.showReferences' },
        },
      },
    },
    handlers = {
      ['goalmap/generated'] = generated,
      ['goalmap/written'] = written,
      ['goalmap/promptChanged'] = prompt_changed,
    },
  }
end

--- Start the server for every map and component that is opened, with `options` over the defaults (see `M.options`).
function M.setup(options)
  M.options = vim.tbl_deep_extend('force', M.options, options or {})
  if has_11 then
    -- Also here, for those who call this after Neovim has read lsp/goalmap.lua.
    vim.lsp.config(NAME, M.config())
    return vim.lsp.enable(NAME)
  end
  vim.api.nvim_create_autocmd({ 'BufReadPost', 'BufNewFile' }, {
    group = vim.api.nvim_create_augroup('goalmap-start', {}),
    callback = function(event)
      local root = M.root(event.buf)
      if not root then
        return
      end
      local config = vim.tbl_extend('force', M.config(), { name = NAME, root_dir = root })
      local defaults = vim.lsp.protocol.make_client_capabilities()
      config.capabilities = vim.tbl_deep_extend('force', defaults, config.capabilities)
      vim.lsp.start(config, { bufnr = event.buf })
    end,
  })
end

return M
