/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Prints what the running worker says of itself, as JSON, for the tests in GIMP. */
#include "client/client.h"

int main(void)
{
    g_autoptr(GError) error = NULL;
    const W2wClientOptions options = {0};
    g_autoptr(W2wClient) client = w2w_client_connect(&options, &error);
    W2wWorkerStatus status;

    if (client == NULL || !w2w_client_get_status(client, &status, &error)) {
        g_printerr("%s\n", error->message);
        return 1;
    }
    g_print("{\"pid\": %d, \"n_loads\": %u, \"n_jobs\": %u}\n", status.pid, status.n_loads,
            status.n_jobs);
    w2w_worker_status_clear(&status);
    return 0;
}
