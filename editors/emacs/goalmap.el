;;; goalmap.el --- Goalmap's language server in Emacs  -*- lexical-binding: t; -*-

;; Version: 0.1.0
;; Package-Requires: ((emacs "28.1") (eglot "1.9"))
;; Keywords: languages, tools
;; SPDX-License-Identifier: MIT

;;; Commentary:

;; What Eglot does not do by itself for Goalmap: it asks the server's questions
;; before a component is generated, shows its progress, takes over what the
;; server wrote to disk, and shows prompts that follow every edit.
;;
;;   (require 'goalmap)
;;   (add-hook 'goalmap-map-mode-hook #'eglot-ensure)
;;
;; Where a double dash stands in a name of Eglot's, Eglot has no public name
;; for it; each of them is there in all versions from 1.9 to 1.17.

;;; Code:

(require 'cl-lib)
(require 'eglot)
(require 'project)

(defgroup goalmap nil
  "Libraries of prompts."
  :group 'tools
  :prefix "goalmap-")

(defcustom goalmap-server-command '("goalmap" "lsp")
  "The language server: a program and its arguments."
  :type '(repeat string))

(defcustom goalmap-open-component t
  "Whether a generated component is shown beside its map."
  :type 'boolean)

;;; Maps and components

(defalias 'goalmap--json-mode
  (if (fboundp 'js-json-mode) #'js-json-mode #'js-mode))

;;;###autoload
(define-derived-mode goalmap-map-mode goalmap--json-mode "Goal map"
  "For the map of a library of prompts.")

;;;###autoload
(define-derived-mode goalmap-component-mode text-mode "Component"
  "For the components of a library of prompts.")

;;;###autoload
(add-to-list 'auto-mode-alist '("/goal_map\\.json\\'" . goalmap-map-mode))

(defun goalmap--library (file)
  "Return the folder of the library that FILE belongs to, or nil."
  (when-let ((root (locate-dominating-file file "goal_map.json")))
    (let ((name (file-relative-name file root)))
      (when (or (equal name "goal_map.json") (string-prefix-p "components/" name))
        root))))

(defun goalmap--component-p ()
  "Whether the current buffer visits a component that is plain text."
  (and buffer-file-name
       (string-suffix-p ".txt" buffer-file-name)
       (goalmap--library buffer-file-name)))

(add-to-list 'magic-mode-alist '(goalmap--component-p . goalmap-component-mode))

(defun goalmap--project (folder)
  "Make a library of FOLDER a project, where it is part of no other one."
  (when-let ((root (goalmap--library (expand-file-name "file" folder))))
    (cons 'transient root)))

;; For the components, which are in other folders than their map.
(add-hook 'project-find-functions #'goalmap--project 90)

;;; The client

(defclass goalmap-eglot-server (eglot-lsp-server) ()
  :documentation "Goalmap's language server.")

(add-to-list 'eglot-server-programs
             `(((goalmap-map-mode :language-id "json")
                (goalmap-component-mode :language-id "plaintext"))
               . ,(lambda (&rest _) (cons 'goalmap-eglot-server goalmap-server-command))))

(cl-defmethod eglot-client-capabilities ((_server goalmap-eglot-server))
  "Add what this file does to what Eglot does."
  (let* ((capabilities (copy-sequence (cl-call-next-method)))
         (window (copy-sequence (plist-get capabilities :window))))
    (setq capabilities
          (plist-put capabilities :window (plist-put window :workDoneProgress t)))
    (plist-put capabilities :experimental
               '(:interactiveResolve (:inputTypes ["string"])
                 :goalmap (:reloadsCleanFiles t :showsGenerated t :livePrompt t)))))

(defun goalmap--server ()
  "Return the server of the current buffer; signal an error where there is none."
  (let ((server (eglot-current-server)))
    (unless (cl-typep server 'goalmap-eglot-server)
      (user-error "This buffer has no Goalmap server: M-x eglot in a goal_map.json"))
    server))

(defun goalmap--path (uri)
  "Return the file that URI names."
  (if (fboundp 'eglot-uri-to-path) (eglot-uri-to-path uri) (eglot--uri-to-path uri)))

(defun goalmap--uri ()
  "Return the URI of the current buffer."
  (plist-get (eglot--TextDocumentIdentifier) :uri))

(defun goalmap--tell-changes (server)
  "Tell SERVER now of what Eglot would tell when Emacs is idle."
  (dolist (buffer (eglot--managed-buffers server))
    (when (buffer-live-p buffer)
      (with-current-buffer buffer
        (eglot--signal-textDocument/didChange)))))

(defun goalmap--execute (server command arguments)
  "Have SERVER run COMMAND with ARGUMENTS, a vector."
  (jsonrpc-request server :workspace/executeCommand
                   (list :command command :arguments arguments)))

;;; Questions

(defun goalmap--ask (field place)
  "Return the user's answer to FIELD as the server wants it; nil for none.
PLACE says which of several questions it is."
  (let* ((fault (plist-get field :error))
         (prompt (format "%s%s%s: " (if (stringp fault) (concat fault "\n") "")
                         place (plist-get field :description)))
         (default (plist-get field :default))
         (value (read-string prompt (and (stringp default) default))))
    (unless (and (eq t (plist-get field :required)) (string-blank-p value))
      (list :id (plist-get field :id) :value value))))

(defun goalmap--ask-all (fields)
  "Return the user's answers to FIELDS, asked one after the other; nil for none.
An empty answer to a question that must be answered ends them."
  (let ((total (length fields))
        (answers nil))
    (cl-loop for field in fields
             for number from 1
             for place = (if (> total 1) (format "(%d of %d) " number total) "")
             for answer = (goalmap--ask field place)
             do (push answer answers)
             while answer)
    (and (car answers) (nreverse answers))))

(defun goalmap--resolve-and-run (server command arguments)
  "Run COMMAND with ARGUMENTS after SERVER's questions about it, if it has any."
  (goalmap--tell-changes server)
  (let ((params (list :command command :arguments arguments)))
    (while params
      (let* ((resolved (jsonrpc-request server :command/resolve params))
             (fields (append (plist-get resolved :formFields) nil))
             (answers (goalmap--ask-all fields)))
        (setq params nil)
        (cond
         ((and fields (not answers))
          (message "Goalmap: nothing was generated, for want of a description"))
         (fields
          (setq params (list :command (plist-get resolved :command)
                             :arguments (plist-get resolved :arguments)
                             :formAnswers (vconcat answers))))
         (t
          (goalmap--execute server (plist-get resolved :command)
                            (plist-get resolved :arguments))))))))

(defconst goalmap--commands-with-questions
  '("goalmap.generateComponent" "goalmap.generateAll"))

;; Eglot 1.13 has another function for this than the ones before it.
(if (fboundp 'eglot-execute)
    (cl-defmethod eglot-execute ((server goalmap-eglot-server) action)
      "Ask the questions of ACTION's command, if it has any."
      (let* ((inner (plist-get action :command))
             (command (if (stringp inner) action inner)))
        (if (member (plist-get command :command) goalmap--commands-with-questions)
            (goalmap--resolve-and-run server (plist-get command :command)
                                      (plist-get command :arguments))
          (cl-call-next-method))))
  (cl-defmethod eglot-execute-command ((server goalmap-eglot-server) command arguments)
    "Ask the questions of COMMAND, if it has any."
    (let ((name (format "%s" command)))
      (if (member name goalmap--commands-with-questions)
          (goalmap--resolve-and-run server name arguments)
        (cl-call-next-method)))))

;;; What the server writes

(defvar eglot-confirm-server-initiated-edits)
(defvar eglot-confirm-server-edits)

(cl-defmethod eglot-handle-request :around
  ((server goalmap-eglot-server) (_method (eql workspace/applyEdit)) &rest _)
  "Make the edit without a question: it is the user's answer that it comes from."
  (let ((eglot-confirm-server-initiated-edits nil)
        (eglot-confirm-server-edits nil)
        ;; Whoever typed while the server wrote the map gets this edit for it:
        ;; to discard what they typed is not the question.
        (query-about-changed-file nil))
    (prog1 (cl-call-next-method)
      (goalmap--tell-changes server))))

(defun goalmap--reload (uri)
  "Have a buffer without changes of its own take what URI is on disk now."
  (when-let ((buffer (find-buffer-visiting (goalmap--path uri))))
    (with-current-buffer buffer
      (unless (or (buffer-modified-p) (verify-visited-file-modtime buffer))
        (let ((revert-without-query '("")))
          (revert-buffer t t t))))))

(cl-defmethod eglot-handle-notification
  ((_server goalmap-eglot-server) (_method (eql goalmap/written)) &key uri &allow-other-keys)
  "Take over what is at URI on disk."
  (goalmap--reload uri))

(cl-defmethod eglot-handle-notification
  ((_server goalmap-eglot-server) (_method (eql goalmap/generated))
   &key outcome mapUri componentUri message &allow-other-keys)
  "Say how a generation ended: OUTCOME and MESSAGE, for MAPURI and COMPONENTURI."
  (goalmap--reload mapUri)
  (when (and componentUri goalmap-open-component)
    (display-buffer (find-file-noselect (goalmap--path componentUri))
                    '(nil (inhibit-same-window . t))))
  (message "Goalmap: %s%s" message
           (if (equal outcome "committed") " M-x goalmap-undo takes it back." "")))

;;; Progress

;; Newer versions of Eglot show progress by themselves.
(unless (boundp 'eglot-report-progress)
  (cl-defmethod eglot-handle-notification
    ((_server goalmap-eglot-server) (_method (eql $/progress)) &key value &allow-other-keys)
    "Show VALUE in the echo area, one line of it."
    (when-let ((text (or (plist-get value :message) (plist-get value :title))))
      (let ((message-truncate-lines t))
        (message "Goalmap: %s" (string-replace "\n" " " text))))))

;;; Prompts that follow every edit

(defvar-local goalmap--preview nil
  "What a preview shows: the server, the map's URI, and the goal.")

(define-derived-mode goalmap-preview-mode special-mode "Prompt"
  "For the prompt of a goal, as it is assembled.")

(defun goalmap--refresh (buffer)
  "Show in BUFFER what its prompt is now."
  (pcase-let ((`(,server ,uri ,goal) (buffer-local-value 'goalmap--preview buffer)))
    (jsonrpc-async-request
     server :goalmap/prompt (list :uri uri :goal goal)
     :success-fn
     (lambda (prompt)
       (when (buffer-live-p buffer)
         (with-current-buffer buffer
           (let ((inhibit-read-only t)
                 (place (point)))
             (erase-buffer)
             (insert (or (plist-get prompt :text) "There is no goal of this name any more.\n"))
             (goto-char (min place (point-max)))))))
     :error-fn #'ignore)))

(cl-defmethod eglot-handle-notification
  ((server goalmap-eglot-server) (_method (eql goalmap/promptChanged)) &key uri &allow-other-keys)
  "Refresh the previews of the map at URI."
  (dolist (buffer (buffer-list))
    (pcase (buffer-local-value 'goalmap--preview buffer)
      (`(,(pred (eq server)) ,(pred (equal uri)) ,_) (goalmap--refresh buffer)))))

;;; Commands

;;;###autoload
(defun goalmap-cancel ()
  "Stop every generation that is under way."
  (interactive)
  (goalmap--execute (goalmap--server) "goalmap.cancelGeneration" []))

;;;###autoload
(defun goalmap-undo ()
  "Take back the last generated component of the current library."
  (interactive)
  (let ((server (goalmap--server)))
    (goalmap--tell-changes server)
    (goalmap--execute server "goalmap.undo" (vector (list :uri (goalmap--uri))))))

;;;###autoload
(defun goalmap-preview ()
  "Show the prompt of the goal at point in a window beside it.
It follows every edit of the map and of the components."
  (interactive)
  (let* ((server (goalmap--server))
         (found (jsonrpc-request server :goalmap/goalAt (eglot--TextDocumentPositionParams)))
         (goal (or (plist-get found :goal) (user-error "Point is on no goal")))
         (uri (goalmap--uri))
         (buffer (get-buffer-create (format "*prompt: %s*" (mapconcat #'identity goal "/")))))
    (with-current-buffer buffer
      (goalmap-preview-mode)
      (setq goalmap--preview (list server uri goal)))
    (goalmap--refresh buffer)
    (display-buffer buffer '(nil (inhibit-same-window . t)))))

(provide 'goalmap)
;;; goalmap.el ends here
