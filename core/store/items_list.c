/* items_list.c -- items that are lists of strings and numbers. */
#include "store/items.h"
#include <stdlib.h>

struct node {
    struct link link;
    uint32_t len;
    uint8_t type; /* enum shdict_type */
    char bytes[];
};

struct items_list {
    struct link ends; /* circular: newer is the first, older the last */
    size_t length;
};

enum { LIST_CHARGE = 32, CHARGE_MIN = 32, MALLOC_WORD = 8 };

static size_t node_size(size_t len)
{
    return offsetof(struct node, bytes) + len;
}

static size_t node_charge(size_t len)
{
    return items_charge(node_size(len) + MALLOC_WORD, CHARGE_MIN);
}

static struct items_list *list_of(struct items *s, struct item *it)
{
    if (it->list || !items_take(s, LIST_CHARGE))
        return it->list;
    struct items_list *list = malloc(sizeof *list);
    if (!list)
        s->used -= LIST_CHARGE;
    else
        *list = (struct items_list){ .ends = { &list->ends, &list->ends } };
    return it->list = list;
}

static void insert(struct items_list *list, struct node *node, bool front)
{
    struct link *ends = &list->ends, *at = &node->link;
    *at = front ? (struct link){ .newer = ends->newer, .older = ends }
                : (struct link){ .newer = ends, .older = ends->older };
    at->newer->older = at;
    at->older->newer = at;
    list->length++;
}

static void take_out(struct items_list *list, struct node *node)
{
    node->link.newer->older = node->link.older;
    node->link.older->newer = node->link.newer;
    list->length--;
}

bool items_push(struct items *s, struct item *it, const struct shdict_value *v,
                bool front)
{
    struct slice bytes = items_bytes(v);
    struct items_list *list = list_of(s, it);
    size_t size = node_charge(bytes.len);
    if (!list || bytes.len > UINT32_MAX || !items_take(s, size))
        return false;
    struct node *node = malloc(node_size(bytes.len));
    if (!node) {
        s->used -= size;
        return false;
    }
    node->len = (uint32_t)bytes.len;
    node->type = (uint8_t)v->type;
    if (bytes.len)
        memcpy(node->bytes, bytes.data, bytes.len);
    insert(list, node, front);
    return true;
}

static void drop_node(struct items *s, struct items_list *list,
                      struct node *node)
{
    take_out(list, node);
    s->used -= node_charge(node->len);
    free(node);
}

bool items_pop(struct items *s, struct item *it, bool front,
               struct shdict_value *out, struct buf *text)
{
    struct items_list *list = it->list;
    struct link *end = front ? list->ends.newer : list->ends.older;
    struct node *node = (struct node *)end;
    *out = (struct shdict_value){ .type = node->type };
    buf_clear(text);
    buf_add(text, SLICE_OF(node->bytes, node->len));
    if (!buf_ok(text))
        return false;
    if (node->type == SHDICT_NUMBER)
        memcpy(&out->number, node->bytes, sizeof out->number);
    else
        out->string = buf_slice(text);
    drop_node(s, list, node);
    return true;
}

size_t items_length(const struct item *it)
{
    return it->list ? it->list->length : 0;
}

void items_drop_list(struct items *s, struct item *it)
{
    struct items_list *list = it->list;
    while (list && list->length)
        drop_node(s, list, (struct node *)list->ends.newer);
    if (list)
        s->used -= LIST_CHARGE;
    free(list);
    it->list = NULL;
}
