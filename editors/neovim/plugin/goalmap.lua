-- The commands. What they need is loaded when one is used.
local function command(name, description)
  vim.api.nvim_create_user_command('Goalmap' .. name, function()
    require('goalmap')[name:lower()]()
  end, { desc = description })
end

command('Cancel', 'Stop every generation that is under way')
command('Undo', 'Take back the last generated component')
command('Preview', "Show the prompt of the goal under the cursor; it follows every edit")
