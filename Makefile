# Builds everything with the compiler called directly. make help lists the targets.
# None of make's own rules: looking through them for every header took 8 s where nothing was to do.
MAKEFLAGS += --no-builtin-rules
BUILD    ?= build
SANITIZE ?=
CC       ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif

ifneq ($(SANITIZE),)
override BUILD := $(BUILD)-asan
SANFLAGS := -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined -U_FORTIFY_SOURCE
# gcc says of both warnings that sanitizers make them wrong
OPT      := -O1 -Wno-format-truncation -Wno-maybe-uninitialized
else
OPT      := -O2 -D_FORTIFY_SOURCE=2
endif

VERSION  := $(shell cat VERSION)
WARN     := -Wall -Wextra -Werror -Wno-unused-parameter
CFLAGS   := -std=gnu11 $(OPT) -g -fPIC -fvisibility=hidden -fstack-protector-strong $(WARN) $(SANFLAGS) $(EXTRA_CFLAGS)
CPPFLAGS := -D_GNU_SOURCE -DTF_VERSION='"$(VERSION)"' -I. -Icore
LDFLAGS  := -Wl,-z,relro,-z,now -Wl,--as-needed $(SANFLAGS)
PQ_INC   := -I$(shell pg_config --includedir 2>/dev/null || echo /usr/include/postgresql)
XML_INC  := -isystem /usr/include/libxml2

NGX      := /usr/share/nginx/src/src
NGX_OBJS := $(BUILD)/nginx
NGX_INC  := $(addprefix -isystem ,$(NGX)/core $(NGX)/event $(NGX)/event/modules $(NGX)/event/quic $(NGX)/os/unix \
            $(NGX)/http $(NGX)/http/modules $(NGX)/http/v2 $(NGX)/http/v3) -isystem $(NGX_OBJS)

# what the worker is made of; worker/render/ and worker/images/ are shared objects of their own, worker/data/ are programs
WORKER_ROOMS := worker $(addprefix worker/,handlers call convert dataset inference mail payment pipeline report scan scrape)
# ... and stands on
WORKER_LIBS   = -luv $(HIREDIS) -lpq -ljansson -lcurl -lidn2 -lxml2 -lzip -lxlsxwriter -lcmark-gfm-extensions -lcmark-gfm \
                -lsqlite3 -lz -lssl -lcrypto -lm

# TLS to Redis where hiredis has it (1.0 and newer): core/redis_tls.h asks the compiler the same
HIREDIS  := $(if $(shell $(CC) $(EXTRA_CFLAGS) -E -x c -include hiredis/hiredis_ssl.h /dev/null >/dev/null 2>&1 && echo y),\
            -lhiredis_ssl) -lhiredis

core_c      := $(wildcard core/*.c)
module_c    := $(wildcard ngx_taskforge_module/*.c)
daemon_c    := $(wildcard daemon/*.c)
worker_c    := $(wildcard $(WORKER_ROOMS:=/*.c))
render_c    := $(wildcard worker/render/*.c)
images_c    := $(wildcard worker/images/*.c)
scheduler_c := $(wildcard scheduler/*.c)
unit_c      := $(wildcard t/unit/*.c)

obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
core_o   := $(call obj,$(core_c))
daemon_o := $(call obj,$(daemon_c))
# the part of the module that needs no nginx
jwt_c    := $(wildcard ngx_taskforge_module/ngx_http_taskforge_jwt*.c)
# What unit tests may use of the daemons: the handlers, which register themselves by being linked, and from the archive
# whatever a test calls (without the rest, which may need a main.c).
handlers_o := $(call obj,$(wildcard worker/handlers/*.c))
parts_o    := $(call obj,$(filter-out worker/main.c scheduler/main.c worker/handlers/%,$(daemon_c) $(worker_c) $(scheduler_c)) $(jwt_c))

MODULE    := $(BUILD)/ngx_http_taskforge_module.so
WORKER    := $(BUILD)/taskforge-worker
SCHEDULER := $(BUILD)/taskforge-scheduler
# cairo and pango, which executors load when they need them: worker/render.h
RENDER    := $(BUILD)/taskforge-render.so
RENDER_INC = $(shell pkg-config --cflags-only-I pangocairo)
# libvips, the same: worker/images.h
IMAGES    := $(BUILD)/taskforge-images.so
IMAGES_INC = $(shell pkg-config --cflags-only-I vips)
TOOLS     := $(patsubst worker/data/%.c,$(BUILD)/%,$(wildcard worker/data/*.c)) \
             $(patsubst bench/%.c,$(BUILD)/%,$(wildcard bench/*.c))
PASSWD    := $(BUILD)/taskforge-passwd
SLICE     := $(BUILD)/taskforge-slice
# the worker with handlers that only tests need
TESTER    := $(BUILD)/t/taskforge-worker
UNITS     := $(patsubst t/unit/%.c,$(BUILD)/unit/%,$(unit_c))

.PHONY: all module worker scheduler tools units html lint lint-format lint-cppcheck lint-shell lint-tidy lint-html fuzz help up down status logs logs-api logs-worker seed migrate \
	migrate-create shell-db shell-redis test clean
all: module worker scheduler tools
module: $(MODULE)
worker: $(WORKER) $(RENDER) $(IMAGES)
scheduler: $(SCHEDULER)
tools: $(TOOLS) $(PASSWD) $(SLICE)
units: $(UNITS) $(TESTER)

# the dashboard; it knows itself when it is older than its sources
html:
	html/tools/build $(BUILD)/html

help:
	@echo 'make [all|module|worker|scheduler|tools|units|html] [BUILD=dir] [SANITIZE=1]   build'
	@echo 'make lint                                      clang-format, cppcheck, shellcheck, clang-tidy, ESLint'
	@echo 'make up|down|status|logs|seed|migrate|shell-db|shell-redis|test|clean'
	@echo '     logs-api|logs-worker|migrate-create MSG=name   the same as ./taskforge ...'

# nginx's generated headers (ngx_auto_config.h), once per build directory
$(NGX_OBJS)/.ready:
	@mkdir -p $(NGX_OBJS)
	@out=$$(realpath $(NGX_OBJS)) && cd /usr/share/nginx/src && \
	  bash -c '. ./conf_flags && ./configure "$${NGX_CONF_FLAGS[@]}" --with-cc-opt=-fPIC --builddir="$$0"' "$$out" \
	  >"$$out/configure.log" 2>&1 || { tail -5 "$$out/configure.log"; exit 1; }
	@touch $@

$(BUILD)/core/%.o: core/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/ngx_taskforge_module/%.o: ngx_taskforge_module/%.c $(NGX_OBJS)/.ready
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(PQ_INC) $(NGX_INC) -MMD -MP -c $< -o $@

$(BUILD)/worker/images/%.o: worker/images/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(IMAGES_INC:-I%=-isystem %) -Iworker -MMD -MP -c $< -o $@

$(BUILD)/worker/render/%.o: worker/render/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(RENDER_INC:-I%=-isystem %) -MMD -MP -c $< -o $@

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(PQ_INC) $(XML_INC) -Iworker -Ischeduler -MMD -MP -c $< -o $@

$(MODULE): $(call obj,$(module_c)) $(core_o)
	$(CC) -shared $(LDFLAGS) -o $@ $^ -Wl,-Bstatic $(HIREDIS) -Wl,-Bdynamic -Wl,--exclude-libs,libhiredis.a:libhiredis_ssl.a \
	  -lpq -ljansson -ljwt -lsodium -lssl -lcrypto -lm

# exports what plug-ins call: worker/plugin.h makes it visible, and nothing else is
$(WORKER) $(TESTER): LDFLAGS += -Wl,--export-dynamic

$(WORKER): $(call obj,$(worker_c)) $(daemon_o) $(core_o)
	$(CC) $(LDFLAGS) -o $@ $^ $(WORKER_LIBS)

$(IMAGES): $(call obj,$(images_c) worker/convert/convert.c core/buf.c core/civil.c)
	$(CC) -shared $(LDFLAGS) -o $@ $^ $$(pkg-config --libs vips) -lm

$(RENDER): $(call obj,$(render_c))
	$(CC) -shared $(LDFLAGS) -o $@ $^ $$(pkg-config --libs pangocairo) -lm

# without the sanitizers: what crashes here does so on purpose
$(BUILD)/t/handlers/%.o: t/handlers/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -fno-sanitize=all $(CPPFLAGS) -Iworker -MMD -MP -c $< -o $@

$(TESTER): $(call obj,$(worker_c) $(wildcard t/handlers/*.c)) $(daemon_o) $(core_o)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(WORKER_LIBS)

$(SCHEDULER): $(call obj,$(scheduler_c)) $(daemon_o) $(core_o)
	$(CC) $(LDFLAGS) -o $@ $^ -luv $(HIREDIS) -lpq -ljansson -lssl -lcrypto -lm

$(BUILD)/%: $(BUILD)/worker/data/%.o $(core_o)
	$(CC) $(LDFLAGS) -o $@ $^ -ljansson -lssl -lcrypto -lm

$(BUILD)/%: $(BUILD)/bench/%.o $(core_o)
	$(CC) $(LDFLAGS) -o $@ $^ -ljansson -lssl -lcrypto -lm

$(PASSWD): $(BUILD)/tools/taskforge-passwd.o $(core_o)
	$(CC) $(LDFLAGS) -o $@ $^ -lsodium -ljansson -lssl -lcrypto -lm

$(SLICE): $(BUILD)/tools/taskforge-slice.o $(BUILD)/core/slice.o
	$(CC) $(LDFLAGS) -o $@ $^

$(BUILD)/libparts.a: $(parts_o)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/unit/%: $(BUILD)/t/unit/%.o $(core_o) $(handlers_o) $(BUILD)/libparts.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lcmocka -ljwt $(WORKER_LIBS)

# libFuzzer targets (clang): make fuzz FUZZ_ARGS=-max_total_time=600. What they test is compiled once for all of them.
FUZZERS   := $(patsubst t/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard t/fuzz/*.c))
FUZZ_ARGS ?= -max_total_time=60
FUZZ_CC   := clang -std=gnu11 -O1 -g $(WARN) -fsanitize=address,undefined -fno-sanitize-recover=undefined $(CPPFLAGS) $(XML_INC) -Iworker
fuzzed_c  := $(core_c) $(jwt_c) $(addprefix worker/,dataset/csv.c dataset/json_rows.c dataset/number.c call/json_path.c inference/sse.c \
             mail/mustache.c) $(filter-out %/crawl.c %/sites.c,$(wildcard worker/scrape/*.c)) \
             $(filter-out %/conversion.c %/markdown.c,$(wildcard worker/convert/*.c))

$(BUILD)/fuzz/parts/%.o: %.c
	@mkdir -p $(@D)
	$(FUZZ_CC) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@

$(BUILD)/fuzz/libparts.a: $(patsubst %.c,$(BUILD)/fuzz/parts/%.o,$(fuzzed_c))
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/fuzz/%: t/fuzz/%.c $(BUILD)/fuzz/libparts.a t/fuzz/pieces.h
	$(FUZZ_CC) -fsanitize=fuzzer $(filter-out %.h,$^) -o $@ $(filter-out -luv $(HIREDIS) -lpq,$(WORKER_LIBS)) -ljwt

fuzz: $(FUZZERS)
	@set -e; for f in $(FUZZERS); do echo "$$f"; "$$f" $(FUZZ_ARGS) -artifact_prefix="$$f-" -print_final_stats=0; done

# The module keeps to nginx's style by hand: no clang-format there. clang-format 14 decides; other versions break lines
# differently here and there.
ROOMS    := core daemon $(WORKER_ROOMS) worker/render worker/images worker/data scheduler bench t/unit t/fuzz t/handlers
LINT_C   := $(wildcard $(ROOMS:=/*.c)) $(module_c)
LINT_CH  := $(wildcard $(ROOMS:=/*.[ch]))
LINT_INC  = $(CPPFLAGS) $(XML_INC) $(RENDER_INC:-I%=-isystem %) $(IMAGES_INC:-I%=-isystem %) -isystem $(PQ_INC:-I%=%) -Idaemon -Iworker -Ischeduler
TIDY     ?= $(LINT_C)

lint: lint-format lint-cppcheck lint-shell lint-tidy lint-html

lint-format:
	@v=$$(clang-format --version) || exit 1; case $$v in \
	  *'version 14.'*) clang-format --dry-run -Werror $(LINT_CH) ;; \
	  *) echo "not checked: formatting is checked by version 14, this is $$v" ;; esac

# Not believed: uninitvar (it does not know TAILQ_FOREACH; gcc and clang-tidy look for the same with the headers),
# varFuncNullUB (in POSIX NULL is a pointer, and gcc checks that tf_log has it at its end), deallocuse and
# nullPointerOutOfMemory in tests (nor cmocka's assertions).
lint-cppcheck:
	cppcheck -q --error-exitcode=1 --enable=warning,performance,portability --inline-suppr --std=c11 -j "$$(nproc)" \
	  --suppress=uninitvar --suppress=varFuncNullUB --suppress=normalCheckLevelMaxBranches \
	  '--suppress=deallocuse:t/unit/*' '--suppress=nullPointerOutOfMemory:t/unit/*' \
	  $(CPPFLAGS) '-DCRLF=""' -Idaemon -Iworker -Ischeduler core daemon worker scheduler bench t ngx_taskforge_module

lint-shell:
	shellcheck -x -s dash -S warning taskforge sql/migrate html/tools/build .ci/run

# NGX_DEBUG=0: else ngx_queue_remove() clears its element, and the analyzer finds it cleared in the list that it left.
lint-tidy: $(if $(filter ngx_taskforge_module/%,$(TIDY)),$(NGX_OBJS)/.ready)
	@printf '%s\n' $(TIDY) | xargs -P "$$(nproc)" -I {} sh -c 'out=$$(clang-tidy --quiet "$$@" 2>&1) || \
	  { printf "%s\n" "$$out"; exit 1; }' sh {} -- -std=gnu11 $(LINT_INC) -DNGX_DEBUG=0 $(NGX_INC)

lint-html:
	html/tools/build $(BUILD)/html --dev
	@cd html && npm run --silent lint

up down status logs seed migrate shell-db shell-redis test clean:
	./taskforge $@
logs-api:
	./taskforge logs nginx
logs-worker:
	./taskforge logs worker
migrate-create:
	./taskforge migrate-create "$(MSG)"

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
