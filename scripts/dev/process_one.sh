#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Process 1 of a PID namespace: runs a command and ends with its status, or at once on Ctrl-C or a TERM
# signal. Either way the kernel then takes along everything that was started in the namespace, daemons
# too. (A shell heeds a signal at once only while it waits for a command in the background, and
# such a command starts with SIGINT ignored, which is undone here.)
trap 'exit 130' INT
trap 'exit 143' TERM HUP
env --default-signal=INT,QUIT "$@" <&0 &
wait $!
