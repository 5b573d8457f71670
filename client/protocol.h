/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What client and worker say to each other: peer-to-peer D-Bus, one object, one interface.
 *
 * Hello and Quit stay as they are for ever: they are how a client finds out that a worker is
 * another program than its own, and sends it away. Everything else may change with
 * W2W_PROTOCOL_VERSION.
 *
 * Errors travel as GLib encodes error domains that it does not know (domain, code and message
 * arrive unchanged), results as signals before the reply to Run:
 *   Result   "picture" h into the message's descriptors: sealed shared memory of (height, width, 3)
 *            bytes with "width" u and "height" u; "identity" ay; "seed" t; "name", "recipe",
 *            "message", "report", "stem" s; "files" a(say). What is not there is left out.
 *   Progress not more often than every W2W_PROTOCOL_PROGRESS_INTERVAL.
 */
#pragma once

#define W2W_PROTOCOL_VERSION   "4"
#define W2W_PROTOCOL_PATH      "/w2w/worker"
#define W2W_PROTOCOL_INTERFACE "w2w.Worker1"

/* Program and protocol; W2W_VERSION is the project's, from the build. */
#define W2W_PROTOCOL_PROGRAM W2W_VERSION "/" W2W_PROTOCOL_VERSION

/*
 * Hello   program: W2W_PROTOCOL_PROGRAM; build: what the client passed to the worker that it
 * started
 *         (--build): a worker that was built anew since is another one. parent_pid 0: none.
 * Quit    takes no new clients, ends its jobs, leaves.
 * Run     subject, resume: w2w_client_run_resumable(); "" and false for a job that is not resumed.
 * values  of Run and FindKept: large ones lie in the message's descriptors (shared_memory.h).
 * FindKept  does the worker still have what a cancelled job of this kind had found?
 * world   a folder in the file system's encoding, NUL terminated, absolute.
 */
#define W2W_PROTOCOL_XML                                                                           \
    "<node><interface name='" W2W_PROTOCOL_INTERFACE "'>"                                          \
    "<method name='Hello'>"                                                                        \
    "<arg direction='in' type='s' name='program'/>"                                                \
    "<arg direction='in' type='i' name='parent_pid'/>"                                             \
    "<arg direction='out' type='s' name='program'/>"                                               \
    "<arg direction='out' type='s' name='build'/>"                                                 \
    "<arg direction='out' type='i' name='pid'/>"                                                   \
    "</method>"                                                                                    \
    "<method name='Quit'/>"                                                                        \
    "<method name='Run'>"                                                                          \
    "<arg direction='in' type='u' name='id'/>"                                                     \
    "<arg direction='in' type='s' name='job'/>"                                                    \
    "<arg direction='in' type='ay' name='world'/>"                                                 \
    "<arg direction='in' type='a{sv}' name='values'/>"                                             \
    "<arg direction='in' type='s' name='subject'/>"                                                \
    "<arg direction='in' type='b' name='resume'/>"                                                 \
    "</method>"                                                                                    \
    "<method name='FindKept'>"                                                                     \
    "<arg direction='in' type='s' name='job'/>"                                                    \
    "<arg direction='in' type='ay' name='world'/>"                                                 \
    "<arg direction='in' type='a{sv}' name='values'/>"                                             \
    "<arg direction='in' type='s' name='subject'/>"                                                \
    "<arg direction='out' type='b' name='found'/>"                                                 \
    "<arg direction='out' type='s' name='text'/>"                                                  \
    "</method>"                                                                                    \
    "<method name='Cancel'><arg direction='in' type='u' name='id'/></method>"                      \
    "<method name='Status'>"                                                                       \
    "<arg direction='out' type='i' name='pid'/>"                                                   \
    "<arg direction='out' type='u' name='n_loads'/>"                                               \
    "<arg direction='out' type='u' name='n_jobs'/>"                                                \
    "<arg direction='out' type='s' name='device'/>"                                                \
    "</method>"                                                                                    \
    "<signal name='Result'><arg type='u' name='id'/><arg type='a{sv}' name='result'/></signal>"    \
    "<signal name='Progress'>"                                                                     \
    "<arg type='u' name='id'/><arg type='d' name='fraction'/><arg type='s' name='text'/>"          \
    "</signal>"                                                                                    \
    "</interface></node>"

#define W2W_PROTOCOL_PROGRESS_INTERVAL (50 * 1000) /* microseconds */

/* Of a result's identity and files together; a message of the bus may have 128 MiB. */
#define W2W_PROTOCOL_MAX_BYTES (64 * 1024 * 1024)

/*
 * Beside the socket lies a file that is locked (flock) by whoever connects, starts or replaces a
 * worker, and by a worker that leaves: so none leaves under a client that just found it.
 */
#define W2W_PROTOCOL_LOCK_SUFFIX ".lock"

/*
 * Descriptors of a worker that a client starts (--started-by-client), both closed once it listens.
 * Into the first it writes "ready", or a sentence why it cannot; the end of file without either
 * means that it died. The second is the client's lock: a client that is killed meanwhile
 * leaves it with the worker, so that the next one waits instead of starting another.
 */
#define W2W_PROTOCOL_READY_FD 3
#define W2W_PROTOCOL_LOCK_FD  4
#define W2W_PROTOCOL_READY    "ready\n"
