/* access_log.c -- a request's line in the access log. */
#include "api/access_log.h"
#include "base/log_file.h"
#include "base/text.h"
#include "conf/template.h"

struct line {
    struct request *r;
    enum conf_escape escape;
};

/* As nginx: what is no plain ASCII, and what would end a quoted field. */
static void add_escaped(struct buf *out, struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if (c < ' ' || c >= 0x7f || c == '"' || c == '\\')
            buf_addf(out, "\\x%02X", c);
        else
            buf_add_char(out, (char)c);
    }
}

static void add_value(struct buf *out, struct slice value,
                      enum conf_escape escape)
{
    if (escape == CONF_ESCAPE_JSON)
        text_json_escape(out, value);
    else if (escape == CONF_ESCAPE_NONE)
        buf_add(out, value);
    else if (value.len)
        add_escaped(out, value);
    else
        buf_add_char(out, '-');
}

static void add_part(void *user, const struct conf_part *part, struct buf *out)
{
    const struct line *line = user;
    struct buf value = { 0 };
    variable_part(line->r, part, &value);
    add_value(out, buf_slice(&value), line->escape);
    buf_free(&value);
}

void access_log_write(struct request *r)
{
    const struct conf_access_log *log = r->location->access_log;
    for (; log; log = log->next) {
        struct log_file *file;
        struct buf text = { 0 };
        struct line line = { r, log->format->escape };
        if (log_file_open(&file, log->path) != OK)
            continue;
        template_render(&log->format->text, &text, add_part, &line);
        buf_add_char(&text, '\n');
        log_file_write(file, buf_slice(&text));
        buf_free(&text);
    }
}
