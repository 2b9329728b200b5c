/* options.c -- the command line, which is nginx's. */
#include "options.h"
#include "base/log.h"
#include <stdio.h>
#include <string.h>

void options_print_help(void)
{
    fputs("Usage: latchkey [-?hvVtTq] [-s signal] [-p prefix] [-c filename]\n"
          "                [-e filename] [-g directives]\n"
          "       latchkey [-p prefix] [-c filename] run [-I dir] [-l module]\n"
          "                FILE|-e CODE [ARG...]\n"
          "       latchkey decrypt --key K --iv IV [--appid A] [DATA|-]\n"
          "       latchkey [-p prefix] [-c filename] store COMMAND [FILE|-]\n"
          "\n"
          "  -h            this help\n"
          "  -v            show the version and exit\n"
          "  -V            show the version and what it was built with\n"
          "  -t            test the configuration and every policy, and exit\n"
          "  -T            test, print the configuration, and exit\n"
          "  -q            no messages but errors while testing\n"
          "  -s signal     tell a running server: stop, quit, reload, reopen,\n"
          "                upgrade\n"
          "  -p prefix     where relative paths start (here)\n"
          "  -c filename   the configuration (scripts/latchkey.conf)\n"
          "  -e filename   the error log until the configuration names one\n"
          "  -g directives global directives, after the configuration's\n"
          "\n"
          "  run           runs a Lua script (-: standard input) with the API\n"
          "  decrypt       opens data by hand and says why it does not open\n"
          "  store         dump, load, verify, stat, reseal: the records\n",
          stdout);
}

/* The flags that stand alone; false: not one of them. */
static bool plain_flag(struct options *o, char flag)
{
    switch (flag) {
    case '?':
    case 'h':
        o->command = COMMAND_HELP;
        return true;
    case 'v':
        o->command = COMMAND_VERSION;
        return true;
    case 'V':
        o->command = COMMAND_BUILD;
        return true;
    case 'T':
        o->dump = true;
        /* fall through */
    case 't':
        o->command = COMMAND_TEST;
        return true;
    case 'q':
        o->quiet = true;
        return true;
    default:
        return false;
    }
}

static const char **value_flag(struct options *o, char flag)
{
    switch (flag) {
    case 'p':
        return &o->prefix;
    case 'c':
        return &o->conf;
    case 'g':
        return &o->globals;
    case 'e':
        return &o->error_log;
    case 's':
        return &o->signal;
    default:
        return NULL;
    }
}

/* One argument that begins with '-'; *at moves over a value. */
static bool parse_flags(struct options *o, int argc, char **argv, int *at)
{
    const char *p = argv[*at] + 1;
    while (*p) {
        char flag = *p++;
        if (plain_flag(o, flag))
            continue;
        const char **value = value_flag(o, flag);
        if (!value) {
            log_emerg("invalid option: \"%c\"", flag);
            return false;
        }
        *value = *p ? p : *at + 1 < argc ? argv[++*at] : NULL;
        if (!*value)
            log_emerg("option \"-%c\" requires a parameter", flag);
        if (*value && flag == 's')
            o->command = COMMAND_SIGNAL;
        return *value != NULL;
    }
    return true;
}

static bool parse_command(struct options *o, const char *word)
{
    static const struct {
        const char *word;
        enum command command;
    } commands[] = { { "run", COMMAND_RUN },
                     { "decrypt", COMMAND_DECRYPT },
                     { "store", COMMAND_STORE } };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(word, commands[i].word))
            continue;
        o->command = commands[i].command;
        return true;
    }
    return false;
}

bool options_parse(struct options *o, int argc, char **argv)
{
    *o = (struct options){ .command = COMMAND_SERVE, .argv = argv };
    for (int i = 1; i < argc; i++) {
        if (parse_command(o, argv[i])) {
            o->rest = i + 1;
            return true;
        }
        if (argv[i][0] != '-' || !argv[i][1]) {
            log_emerg("invalid option: \"%s\"", argv[i]);
            return false;
        }
        if (!parse_flags(o, argc, argv, &i))
            return false;
    }
    return true;
}
