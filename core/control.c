/* control.c -- `-s`: tells a running server what to do. */
#include "control.h"
#include "base/log.h"
#include "conf/conf.h"
#include "options.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>

static int signal_number(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } known[] = { { "stop", SIGTERM },
                  { "quit", SIGQUIT },
                  { "reload", SIGHUP },
                  { "reopen", SIGUSR1 },
                  { "upgrade", SIGUSR2 } };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, name))
            return known[i].number;
    return 0;
}

int control_main(const struct options *o)
{
    struct conf *conf;
    struct conf_options from = { .prefix = o->prefix,
                                 .file = o->conf,
                                 .globals = o->globals,
                                 .error_log = o->error_log };
    int number = signal_number(o->signal), pid = 0;
    if (!number) {
        log_emerg("invalid option: \"-s %s\"", o->signal);
        return 1;
    }
    if (conf_load(&conf, &from) != OK) {
        log_emerg("%s", err_text());
        return 1;
    }
    FILE *file = fopen(conf->pid, "re");
    if (!file || fscanf(file, "%d", &pid) != 1 || pid <= 0) {
        log_emerg("no process id in \"%s\"%s%s", conf->pid, file ? "" : ": ",
                  file ? "" : strerror(errno));
        return 1;
    }
    fclose(file);
    if (kill(pid, number)) {
        log_emerg("kill(%d, %d) failed (%d: %s)", pid, number, errno,
                  strerror(errno));
        return 1;
    }
    conf_free(conf);
    return 0;
}
