; SPDX-License-Identifier: GPL-3.0-or-later
; The procedures from Script-Fu, as a user's batch script would call them.

(define (check what fact) (if (not fact) (error (string-append "wrong: " what))))

(define sampled (plug-in-w2w-sample #:run-mode RUN-NONINTERACTIVE #:count 1 #:seed 42 #:factor 1.0 #:steps 3))
(define image (car sampled))
(define person (vector-ref (cadr sampled) 0))
(check "one layer" (= 1 (vector-length (car (gimp-image-get-layers image)))))
(check "width" (= 128 (car (gimp-drawable-get-width person))))
(check "identity" (string? (caddr (car (gimp-item-get-parasite person "w2w-identity")))))

(define edited (car (plug-in-w2w-edit #:run-mode RUN-NONINTERACTIVE #:image image #:drawables (vector person)
                                      #:edits "Young=-0.8;Wavy_Hair=0.5;#3=1.5;protect=Male,Chubby" #:steps 3)))
(define rendered (car (plug-in-w2w-render #:run-mode RUN-NONINTERACTIVE #:image image #:drawables (vector edited)
                                          #:prompt "sks person" #:scheduler "pndm" #:steps 3)))
(check "three layers" (= 3 (vector-length (car (gimp-image-get-layers image)))))

(gimp-file-save RUN-NONINTERACTIVE image (string-append w2w-scratch "/fu.xcf"))
(define again (car (gimp-file-load RUN-NONINTERACTIVE (string-append w2w-scratch "/fu.xcf"))))
(define layers (car (gimp-image-get-layers again)))
(check "three layers after reload" (= 3 (vector-length layers)))
(plug-in-w2w-edit #:run-mode RUN-NONINTERACTIVE #:image again #:drawables (vector (vector-ref layers 1))
                  #:edits "Eyeglasses=1" #:steps 3)
(display "TEST OK") (newline)
