#include "job_file.h"

#include "name.h"

bool tf_file_name_valid(const char *name, size_t len)
{
    if (len == 0 || len > TF_FILE_NAME_MAX || name[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!tf_name_char(name[i])) {
            return false;
        }
    }
    return true;
}
