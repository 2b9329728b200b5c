/* main.c -- which of the commands it is. */
#include "base/log.h"
#include "base/version.h"
#include "control.h"
#include "decrypt.h"
#include "options.h"
#include "records.h"
#include "run.h"
#include "server.h"
#include "setup.h"
#include <openssl/crypto.h>
#include <stdio.h>

static int print_version(bool build)
{
    if (!build) {
        fputs("latchkey version: latchkey/" VERSION "\n", stderr);
        return 0;
    }
    fprintf(stderr,
            "nginx version: nginx/" VERSION_NGINX " (latchkey " VERSION ")\n"
            "built with %s\n",
            OpenSSL_version(OPENSSL_VERSION));
    return 0;
}

static bool needs_files(enum command command)
{
    return command != COMMAND_HELP && command != COMMAND_VERSION &&
           command != COMMAND_BUILD;
}

static int run_command(const struct options *o, int argc, char **argv)
{
    switch (o->command) {
    case COMMAND_HELP:
        options_print_help();
        return 0;
    case COMMAND_VERSION:
    case COMMAND_BUILD:
        return print_version(o->command == COMMAND_BUILD);
    case COMMAND_TEST:
        return server_test(o);
    case COMMAND_SIGNAL:
        return control_main(o);
    case COMMAND_RUN:
        return run_main(o, argc, argv);
    case COMMAND_DECRYPT:
        return decrypt_main(argc - o->rest + 1, argv + o->rest - 1);
    case COMMAND_STORE:
        return records_main(o, argc, argv);
    case COMMAND_SERVE:
        return server_main(o);
    }
    return 1;
}

int main(int argc, char **argv)
{
    struct options o;
    setup_no_core();
    if (!options_parse(&o, argc, argv))
        return 1;
    if (needs_files(o.command) && setup_descriptors(0, 0) != OK) {
        log_emerg("%s", err_text());
        return 1;
    }
    return run_command(&o, argc, argv);
}
