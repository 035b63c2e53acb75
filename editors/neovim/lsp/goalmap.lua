-- Neovim 0.11 and later find the server here, by `vim.lsp.enable('goalmap')`.
return require('goalmap').config()
