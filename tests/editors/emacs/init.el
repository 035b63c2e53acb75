;;; init.el --- What a user of Emacs has, for the tests  -*- lexical-binding: t; -*-

;; Compiling packages in the background would take the machine away from the test.
(setq native-comp-deferred-compilation nil
      native-comp-jit-compilation nil)
(require 'package)
;; Where Debian keeps its packages; the site file, which says so, is not read.
(add-to-list 'package-directory-list "/usr/share/emacs/site-lisp/elpa")
(package-initialize)
(add-to-list 'load-path (getenv "GOALMAP_TEST_PLUGIN"))
(setq goalmap-server-command (split-string (getenv "GOALMAP_TEST_COMMAND") "\n")
      make-backup-files nil
      eglot-workspace-configuration
      (json-parse-string (getenv "GOALMAP_TEST_SETTINGS") :object-type 'plist)
      ring-bell-function #'ignore
      eglot-connect-timeout 60
      server-socket-dir (getenv "GOALMAP_TEST_FOLDER")
      server-name "server")

(if (getenv "GOALMAP_TEST_PLAIN")
    (progn
      (require 'eglot)
      (add-to-list 'eglot-server-programs (cons 'js-mode goalmap-server-command))
      (setq eglot-confirm-server-initiated-edits nil)
      (add-hook 'js-mode-hook #'eglot-ensure))
  (require 'goalmap)
  (add-hook 'goalmap-map-mode-hook #'eglot-ensure)
  (add-hook 'goalmap-component-mode-hook #'eglot-ensure))

(defun test-encode (value)
  "Return VALUE as JSON, in a form that survives being printed."
  (base64-encode-string (encode-coding-string (json-encode value) 'utf-8) t))

(require 'server)
(server-start)
;;; init.el ends here
