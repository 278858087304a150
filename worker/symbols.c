#include "symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file that an address belongs to. */
typedef struct {
    uintptr_t address;
    uintptr_t base;
    char path[PATH_MAX];
} place_t;

static int on_object(struct dl_phdr_info *info, size_t size, void *data)
{
    place_t *place = data;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;

        if (segment->p_type == PT_LOAD && place->address >= start &&
            place->address - start < segment->p_memsz) {
            place->base = info->dlpi_addr;
            /* the program itself has no name here */
            snprintf(place->path, sizeof(place->path), "%s",
                     info->dlpi_name[0] ? info->dlpi_name : "/proc/self/exe");
            return 1;
        }
    }
    return 0;
}

/* A file's bytes. Everything that is read from it is checked against its size: it may have been replaced
 * since it was loaded. */
typedef struct {
    const char *data;
    size_t size;
} image_t;

static const void *part(const image_t *image, uint64_t offset, uint64_t len)
{
    return offset <= image->size && len <= image->size - offset ? image->data + offset : NULL;
}

/* Looks through one symbol table. */
static bool search(const image_t *image, const ElfW(Shdr) * table, const ElfW(Shdr) * names, uintptr_t offset,
                   tfw_symbol_t *out)
{
    const ElfW(Sym) *symbols = part(image, table->sh_offset, table->sh_size);
    const char *text = part(image, names->sh_offset, names->sh_size);
    size_t count = table->sh_size / sizeof(*symbols);

    for (size_t i = 0; symbols && text && i < count; i++) {
        const ElfW(Sym) *s = &symbols[i];

        if ((s->st_info & 0xf) == STT_FUNC && s->st_value && offset >= s->st_value &&
            offset - s->st_value < s->st_size && s->st_name < names->sh_size) {
            size_t most = names->sh_size - s->st_name;

            snprintf(out->function, sizeof(out->function), "%.*s",
                     (int)(most < TFW_SYMBOL_MAX ? most : TFW_SYMBOL_MAX), text + s->st_name);
            out->function[strcspn(out->function, ".")] = '\0'; /* what gcc adds to parts: .cold, .isra.0 */
            out->offset = offset - s->st_value;
            return true;
        }
    }
    return false;
}

/* .symtab has all functions, .dynsym, which is all that a stripped file has, those that are exported. */
static void search_image(const image_t *image, uintptr_t offset, tfw_symbol_t *out)
{
    const ElfW(Ehdr) *head = part(image, 0, sizeof(*head));
    const ElfW(Shdr) * sections;

    if (!head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 || head->e_shentsize != sizeof(*sections)) {
        return;
    }
    sections = part(image, head->e_shoff, (uint64_t)head->e_shnum * sizeof(*sections));
    for (int pass = 0; sections && pass < 2; pass++) {
        for (int i = 0; i < head->e_shnum; i++) {
            if (sections[i].sh_type == (pass == 0 ? SHT_SYMTAB : SHT_DYNSYM) &&
                sections[i].sh_link < head->e_shnum &&
                search(image, &sections[i], &sections[sections[i].sh_link], offset, out)) {
                return;
            }
        }
    }
}

bool tfw_symbol_find(const void *address, tfw_symbol_t *symbol)
{
    place_t place = {.address = (uintptr_t)address};
    const char *slash;
    char self[PATH_MAX];
    image_t image;
    struct stat st;
    ssize_t n;
    int fd;

    memset(symbol, 0, sizeof(*symbol));
    if (dl_iterate_phdr(on_object, &place) == 0) {
        return false;
    }
    symbol->offset = place.address - place.base;
    fd = open(place.path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (fstat(fd, &st) == 0 && st.st_size > 0) {
            image.size = (size_t)st.st_size;
            image.data = mmap(NULL, image.size, PROT_READ, MAP_PRIVATE, fd, 0);
            if (image.data != MAP_FAILED) {
                search_image(&image, symbol->offset, symbol);
                munmap((void *)image.data, image.size);
            }
        }
        close(fd);
    }
    n = readlink(place.path, self, sizeof(self) - 1);
    if (n > 0) {
        self[n] = '\0';
        memcpy(place.path, self, (size_t)n + 1);
    }
    slash = strrchr(place.path, '/');
    snprintf(symbol->file, sizeof(symbol->file), "%.*s", TFW_SYMBOL_MAX - 1, slash ? slash + 1 : place.path);
    return true;
}
