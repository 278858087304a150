#include "fiber.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define GUARD (64 * 1024) /* below the stack: large frames must not step over it */
#define SPARE_MAX 64      /* stacks kept for the next fibers */

/* Lies at the top of its own stack. */
struct tfw_fiber_s {
    ucontext_t context;
    tfw_fiber_t *next; /* spare */
    void (*run)(void *data);
    void *data;
    void *mapping;
    void *fake_stack; /* AddressSanitizer's, while the fiber does not run */
    bool ended;
};

static tfw_fiber_t *current, *spare;
static int spares;
static ucontext_t outside;
#if defined(__SANITIZE_ADDRESS__)
static void *outside_fake;
static const void *outside_bottom;
static size_t outside_size;
#endif

static void *stack_of(const tfw_fiber_t *fiber)
{
    return (char *)fiber->mapping + GUARD;
}

static size_t stack_size(const tfw_fiber_t *fiber)
{
    return (size_t)((const char *)fiber - (const char *)stack_of(fiber));
}

/* The thread's stack changes to the fiber's. AddressSanitizer has to know, as it watches stacks. */
static void enter(tfw_fiber_t *fiber)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&outside_fake, stack_of(fiber), stack_size(fiber));
#endif
    swapcontext(&outside, &fiber->context);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(outside_fake, NULL, NULL);
#endif
}

/* And back. */
static void leave(tfw_fiber_t *fiber)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(fiber->ended ? NULL : &fiber->fake_stack, outside_bottom, outside_size);
#endif
    swapcontext(&fiber->context, &outside);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fiber->fake_stack, &outside_bottom, &outside_size);
#endif
}

/* The first function on every fiber's stack. It never returns: there is nowhere to return to. */
static void begin(void)
{
    tfw_fiber_t *fiber = current;

#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(NULL, &outside_bottom, &outside_size);
#endif
    fiber->run(fiber->data);
    fiber->ended = true;
    leave(fiber);
    __builtin_unreachable();
}

static tfw_fiber_t *map_stack(void)
{
    size_t size = GUARD + TFW_FIBER_STACK;
    char *mapping =
        mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    uintptr_t top;
    tfw_fiber_t *fiber;

    if (mapping == MAP_FAILED) {
        return NULL;
    }
    if (mprotect(mapping + GUARD, TFW_FIBER_STACK, PROT_READ | PROT_WRITE) != 0) {
        munmap(mapping, size);
        return NULL;
    }
    top = ((uintptr_t)mapping + size - sizeof(*fiber)) & ~(uintptr_t)63;
    fiber = (tfw_fiber_t *)top;
    fiber->mapping = mapping;
    return fiber;
}

static void release(tfw_fiber_t *fiber)
{
    if (spares < SPARE_MAX) {
        fiber->next = spare;
        spare = fiber;
        spares++;
    } else {
        munmap(fiber->mapping, GUARD + TFW_FIBER_STACK);
    }
}

static bool prepare(tfw_fiber_t *fiber)
{
    if (getcontext(&fiber->context) != 0) {
        return false;
    }
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(stack_of(fiber), stack_size(fiber));
#endif
    fiber->context.uc_stack.ss_sp = stack_of(fiber);
    fiber->context.uc_stack.ss_size = stack_size(fiber);
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, begin, 0);
    return true;
}

tfw_fiber_t *tfw_fiber_new(void (*run)(void *data), void *data)
{
    tfw_fiber_t *fiber = spare;

    if (fiber) {
        spare = fiber->next;
        spares--;
    } else {
        fiber = map_stack();
    }
    if (fiber && !prepare(fiber)) {
        release(fiber);
        return NULL;
    }
    if (fiber) {
        fiber->run = run;
        fiber->data = data;
        fiber->fake_stack = NULL;
        fiber->ended = false;
    }
    return fiber;
}

bool tfw_fiber_resume(tfw_fiber_t *fiber)
{
    current = fiber;
    enter(fiber);
    current = NULL;
    if (fiber->ended) {
        release(fiber);
        return false;
    }
    return true;
}

void tfw_fiber_yield(void)
{
    leave(current);
}

tfw_fiber_t *tfw_fiber_current(void)
{
    return current;
}
