/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stand-in for the command line in the tests of ./dev: tells what reaches it.
 * w2w show ARGS...   the folder it runs in, then each argument on a line
 * w2w cat            stdin to stdout
 * w2w exit N         ends with status N, after a line on stderr
 * w2w wait           says "waiting", then waits for a signal */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "show") == 0) {
        char folder[4096];
        if (getcwd(folder, sizeof folder) == NULL)
            return 1;
        puts(folder);
        for (int i = 2; i < argc; i++)
            printf("<%s>\n", argv[i]);
    } else if (strcmp(what, "cat") == 0) {
        for (int c = getchar(); c != EOF; c = getchar())
            putchar(c);
    } else if (strcmp(what, "exit") == 0 && argc > 2) {
        fputs("to stderr\n", stderr);
        return atoi(argv[2]);
    } else if (strcmp(what, "wait") == 0) {
        puts("waiting");
        fflush(stdout);
        pause();
    }
    return 0;
}
