/* options.h -- the command line, which is nginx's. */
#pragma once
#include <stdbool.h>

enum command {
    COMMAND_SERVE,
    COMMAND_TEST,
    COMMAND_SIGNAL,
    COMMAND_VERSION,
    COMMAND_BUILD,
    COMMAND_HELP,
    COMMAND_RUN,
    COMMAND_DECRYPT,
    COMMAND_STORE
};

struct options {
    enum command command;
    const char *prefix, *conf, *globals, *error_log; /* NULL: not given */
    const char *signal;                              /* of -s */
    bool dump, quiet;                                /* -T, -q */
    char **argv;
    int rest; /* argv's index after `run`, `decrypt` or `store` */
};

/* False: it makes no sense, and the reason has been printed. */
bool options_parse(struct options *o, int argc, char **argv);

void options_print_help(void);
