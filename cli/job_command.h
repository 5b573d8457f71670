/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A job as a command: values in, files out. */
#pragma once

#include "cli/command_line.h"

/* A command for `job`; belongs to the caller, who keeps it for the life of the program. */
W2wCommand *w2w_job_command_new(const W2wJob *job);
