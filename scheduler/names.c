#include "names.h"

#include <stdlib.h>
#include <string.h>

bool tfs_names_read(tfs_names_t *names, const PGresult *result)
{
    int rows = PQntuples(result);

    tfs_names_free(names);
    if (rows == 0) {
        return true;
    }
    names->items = calloc((size_t)rows, sizeof(*names->items));
    if (names->items == NULL) {
        return false;
    }
    for (int i = 0; i < rows; i++) {
        const char *name = PQgetvalue(result, i, 0);
        size_t len = (size_t)PQgetlength(result, i, 0);

        if (tf_queue_name_valid(name, len)) {
            memcpy(names->items[names->count++], name, len); /* calloc has put the NUL */
        }
    }
    return true;
}

void tfs_names_free(tfs_names_t *names)
{
    free(names->items);
    names->items = NULL;
    names->count = 0;
}
