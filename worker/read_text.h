/* read_text.h: a small file of the kernel's, as a text. */
#ifndef TFW_READ_TEXT_H
#define TFW_READ_TEXT_H

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

/* Reads at most size - 1 bytes of a path below the directory dir (or AT_FDCWD), and ends them with a NUL.
 * false: it is not there, or is empty. */
static inline bool tfw_read_text(int dir, const char *path, char *text, size_t size)
{
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;

    if (fd >= 0) {
        n = read(fd, text, size - 1);
        close(fd);
    }
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

#endif
