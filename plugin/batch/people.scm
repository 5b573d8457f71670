; SPDX-License-Identifier: GPL-3.0-or-later
;
; A folder of pictures of people becomes one XCF: for each picture a group of layers with the
; picture, the person as the model knows it (inverted), older, and with glasses.
;
;   gimp-console-3.0 -i --batch-interpreter=plug-in-script-fu-eval --quit \
;     -b '(begin (load "people.scm") (w2w-people "/path/to/portraits" "/path/to/people.xcf"))'
;
; More words for plug-in-w2w-invert may follow, by name: (w2w-people FOLDER XCF #:preset "fast").
;
; The XCF is written anew after each picture, and GIMP replaces a file only by a whole one. Called
; again, after an interruption or with more pictures in the folder, it goes on with those that have no group
; yet. A picture that cannot be read or inverted is told of and left out; the call then fails at
; its end. Remove a group from the XCF to have its picture done again.

(define w2w-people-endings '("png" "jpg" "jpeg" "tif" "tiff" "webp"))

; The text behind the last full stop, in small letters.
(define (w2w-people-ending name)
  (let loop ((i (- (string-length name) 1)))
    (cond ((< i 0) "")
          ((char=? (string-ref name i) #\.)
           (list->string (map char-downcase (string->list (substring name (+ i 1) (string-length name))))))
          (else (loop (- i 1))))))

(define (w2w-people-insert name names)
  (if (or (null? names) (string<? name (car names)))
      (cons name names)
      (cons (car names) (w2w-people-insert name (cdr names)))))

; The names of the pictures in a folder, sorted.
(define (w2w-people-list folder)
  (let ((stream (dir-open-stream folder)))
    (if (not stream) (error (string-append "There is no folder " folder ".")))
    (let loop ((entry (dir-read-entry stream)) (names '()))
      (cond ((eof-object? entry) (dir-close-stream stream) names)
            ((member (w2w-people-ending entry) w2w-people-endings)
             (loop (dir-read-entry stream) (w2w-people-insert entry names)))
            (else (loop (dir-read-entry stream) names))))))

(define (w2w-people-done image)
  (map (lambda (layer) (car (gimp-item-get-name layer)))
       (vector->list (car (gimp-image-get-layers image)))))

; The person of a layer along directions, as a layer above it with that name.
(define (w2w-people-edit image layer edits name)
  (let ((edited (car (plug-in-w2w-edit #:run-mode RUN-NONINTERACTIVE #:image image #:drawables (vector layer)
                                       #:edits edits))))
    (gimp-item-set-name edited name)
    edited))

; GIMP numbers names that are there twice, so each has its picture's.
(define (w2w-people-name name what)
  (string-append name ": " what))

; One picture's group; #f where it could not be made, and then the image is as before.
(define (w2w-people-add image path name invert-words)
  (let ((group (car (gimp-group-layer-new image name))))
    (gimp-image-insert-layer image group 0 0)
    (catch (begin (gimp-image-remove-layer image group) #f)
      (let ((picture (car (gimp-file-load-layer RUN-NONINTERACTIVE image path))))
        (gimp-image-insert-layer image picture group 0)
        (gimp-item-set-name picture (w2w-people-name name "picture"))
        (gimp-layer-set-offsets picture 0 0)
        (let ((inverted (car (apply plug-in-w2w-invert
                                    (append (list #:run-mode RUN-NONINTERACTIVE #:image image
                                                  #:drawables (vector picture))
                                            invert-words)))))
          (gimp-item-set-name inverted (w2w-people-name name "inverted"))
          (w2w-people-edit image inverted "Eyeglasses=1" (w2w-people-name name "with glasses"))
          (w2w-people-edit image inverted "Young=-1" (w2w-people-name name "older")))
        #t))))

; The image to go on with, or a new one, which grows with its layers.
(define (w2w-people-open xcf)
  (if (file-exists? xcf)
      (car (gimp-file-load RUN-NONINTERACTIVE xcf))
      (car (gimp-image-new 1 1 RGB))))

(define (w2w-people folder xcf . invert-words)
  (let* ((names (w2w-people-list folder))
         (path (lambda (name) (string-append folder "/" name))))
    (if (null? names) (error (string-append "There are no pictures in the folder " folder ".")))
    (let* ((image (w2w-people-open xcf))
           (done (w2w-people-done image))
           (failed '()))
      (gimp-image-undo-disable image)
      (for-each
        (lambda (name)
          (if (not (member name done))
              (begin
                (display (string-append "Picture: " name)) (newline)
                (if (w2w-people-add image (path name) name invert-words)
                    (begin
                      (gimp-image-resize-to-layers image)
                      (gimp-file-save RUN-NONINTERACTIVE image xcf))
                    (set! failed (cons name failed))))))
        names)
      (gimp-image-delete image)
      (if (not (null? failed))
          (error (apply string-append "These pictures could not be done (GIMP said why):"
                        (map (lambda (name) (string-append " " name)) failed)))))))
