// The main program of a session: images through an accelerator, one after the other, with what its signals do.
//
// Arguments: the top module, then the paths below it of the signals to record, of at most 64 bits each. Standard input
// and output carry native binary words (`fivebyfive.sim.session.session` is the other side). In, for each image:
//
//     uint64 most cycles, uint64 transfers, uint64 payload of each transfer of the stream `i`
//
// Out: frames of uint32 kind, uint32 bytes, and so many bytes:
//
//     TAP + n    what the n-th port of `taps` showed: uint64 cycle and the word, for each word
//     RESULT     uint64 cycles of the run and uint64 of them recorded, then the payload of `o` and the port `cycles`
//     SIGNAL     of a recorded signal, in order: uint32 cycle of each change, then uint64 value of each, the first at 0
//     END        nothing; the next image may come
//     HANGS      uint64 cycles after which there was no result; then END
//
// An image begins with a reset, so that it always takes the same course. Cycle 0 is the first one behind it, in which
// its first pixel is offered. What is recorded of a cycle is what flip-flops take at its end.

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "Vtop.h"
#include "verilated.h"
#include "verilated_syms.h"

namespace {

enum Kind : uint32_t { TAP = 0, RESULT = 8, SIGNAL = 9, END = 10, HANGS = 11 };

constexpr int RESET_CYCLES = 3;
constexpr uint64_t FLUSH_CYCLES = 1024;      // between two frames of a tap, at least,
constexpr uint64_t FLUSH_PART = 64;          // and this part of the run so far: a long one has no more frames
constexpr size_t MOST_CHANGES = 16'000'000;  // that are recorded of an image, all signals together: 192 MB
const char* const taps[] = {"conv_tap", "fc_tap"};

int out;  // of frames: what the Verilog prints goes to standard error

[[noreturn]] void fail(const std::string& what) {
    fprintf(stderr, "fivebyfive: %s\n", what.c_str());
    exit(1);
}

bool read_all(void* data, size_t bytes) {
    for (char* at = static_cast<char*>(data); bytes;) {
        const ssize_t got = read(0, at, bytes);
        if (got <= 0) return false;
        at += got;
        bytes -= got;
    }
    return true;
}

void write_all(const void* data, size_t bytes) {
    for (const char* at = static_cast<const char*>(data); bytes;) {
        const ssize_t put = write(out, at, bytes);
        if (put <= 0) exit(1);  // nobody reads any more
        at += put;
        bytes -= put;
    }
}

using Bytes = std::vector<char>;

void append(Bytes& bytes, const void* data, size_t size) {
    const char* at = static_cast<const char*>(data);
    bytes.insert(bytes.end(), at, at + size);
}

void send(uint32_t kind, const Bytes& bytes) {
    const uint32_t head[] = {kind, static_cast<uint32_t>(bytes.size())};
    write_all(head, sizeof head);
    write_all(bytes.data(), bytes.size());
}

// Where Verilator keeps a signal: `size` bytes, the lowest bits first.
struct Place {
    void* data = nullptr;
    size_t size = 0;

    explicit operator bool() const { return data; }

    uint64_t value() const {
        uint64_t found = 0;
        switch (size) {
        case 1: return *static_cast<const uint8_t*>(data);
        case 2: return *static_cast<const uint16_t*>(data);
        case 4: return *static_cast<const uint32_t*>(data);
        default: memcpy(&found, data, size < sizeof found ? size : sizeof found); return found;
        }
    }
    void set(uint64_t value) const { memcpy(data, &value, size < sizeof value ? size : sizeof value); }
};

std::string top_name;

Place find(const std::string& path) {
    const size_t dot = path.rfind('.');
    const bool is_port = dot == std::string::npos;  // of the top: Verilator has copies of it inside
    const std::string scope = is_port ? "TOP" : top_name + "." + path.substr(0, dot);
    const std::string name = is_port ? path : path.substr(dot + 1);
    const VerilatedScope* const found = Verilated::threadContextp()->scopeFind(scope.c_str());
    VerilatedVar* const var = found ? found->varFind(name.c_str()) : nullptr;
    return var ? Place{var->datap(), var->totalSize()} : Place{};
}

Place need(const std::string& path) {
    const Place place = find(path);
    if (!place) fail("there is no signal " + path);
    return place;
}

struct Recorded {
    Place place;
    uint64_t last = 0;
    std::vector<uint32_t> cycles;
    std::vector<uint64_t> values;
};

struct Tap {
    Place place;
    uint32_t kind;
    bool toggle = false;
    Bytes seen;
};

class Session {
public:
    Session(int argc, char** argv) {
        top.eval();
        for (int n = 2; n < argc; ++n) recorded.push_back({need(argv[n])});
        for (uint32_t n = 0; n < sizeof taps / sizeof *taps; ++n)
            if (const Place place = find(taps[n])) watched.push_back({place, TAP + n});
    }

    // One image; false where it has no result within `most` cycles.
    bool run(uint64_t most, const std::vector<uint64_t>& transfers) {
        reset();
        uint64_t cycle = 0, recorded_cycles = 0, due = FLUSH_CYCLES, taken = UINT64_MAX, changes = 0;
        size_t next = 0;
        Bytes result;
        while (cycle < most && !Verilated::gotFinish()) {
            const bool offers = next < transfers.size();
            i_valid.set(offers);
            i_payload.set(offers ? transfers[next] : 0);
            o_ready.set(1);
            level(0);
            next += offers && i_ready.value();
            if (changes < MOST_CHANGES) {
                changes += record(cycle);
                recorded_cycles = cycle + 1;
            }
            watch(cycle);
            if (o_valid.value() && taken == UINT64_MAX) {
                taken = cycle;
                append(result, o_payload.data, o_payload.size);
            }
            const bool counted = taken != UINT64_MAX && cycle == taken + 2;  // the counters of a result follow it
            ++cycle;
            if (counted) {
                flush();
                Bytes told;
                append(told, &cycle, sizeof cycle);
                append(told, &recorded_cycles, sizeof recorded_cycles);
                append(told, result.data(), result.size());
                append(told, cycles.data, cycles.size);
                send(RESULT, told);
                return true;
            }
            level(1);
            if (cycle >= due) {
                flush();
                due = cycle + FLUSH_CYCLES + cycle / FLUSH_PART;
            }
        }
        flush();
        Bytes told;
        append(told, &cycle, sizeof cycle);
        send(HANGS, told);
        return false;
    }

    void send_recorded() {
        for (const Recorded& one : recorded) {
            Bytes bytes;
            append(bytes, one.cycles.data(), one.cycles.size() * sizeof one.cycles[0]);
            append(bytes, one.values.data(), one.values.size() * sizeof one.values[0]);
            send(SIGNAL, bytes);
        }
    }

private:
    // The clock at that level, and what follows from it and from the inputs.
    void level(int value) {
        clk.set(value);
        top.eval();
    }

    void reset() {
        for (const Place& input : {i_valid, o_ready, need("load__valid")}) input.set(0);
        rst.set(1);
        for (int n = 0; n < RESET_CYCLES; ++n) {
            level(0);
            level(1);
        }
        rst.set(0);
        for (Tap& tap : watched) {
            tap.toggle = false;
            tap.seen.clear();
        }
        for (Recorded& one : recorded) {
            one.cycles.clear();
            one.values.clear();
        }
    }

    size_t record(uint32_t cycle) {
        size_t changes = 0;
        for (Recorded& one : recorded) {
            const uint64_t value = one.place.value();
            if (value == one.last && cycle) continue;
            one.last = value;
            one.cycles.push_back(cycle);
            one.values.push_back(value);
            ++changes;
        }
        return changes;
    }

    void watch(uint64_t cycle) {
        for (Tap& tap : watched) {
            const bool toggle = *static_cast<const uint8_t*>(tap.place.data) & 1;
            if (toggle == tap.toggle) continue;
            tap.toggle = toggle;
            append(tap.seen, &cycle, sizeof cycle);
            append(tap.seen, tap.place.data, tap.place.size);
        }
    }

    void flush() {
        for (Tap& tap : watched) {
            if (tap.seen.empty()) continue;
            send(tap.kind, tap.seen);
            tap.seen.clear();
        }
    }

    Vtop top{""};  // scopes then have the names of modules alone
    const Place clk = need("clk"), rst = need("rst"), cycles = need("cycles");
    const Place i_valid = need("i__valid"), i_ready = need("i__ready"), i_payload = need("i__payload");
    const Place o_valid = need("o__valid"), o_ready = need("o__ready"), o_payload = need("o__payload");
    std::vector<Recorded> recorded;
    std::vector<Tap> watched;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) fail("the top module's name is missing");
    top_name = argv[1];
    out = dup(1);
    dup2(2, 1);
    Session session{argc, argv};
    for (uint64_t head[2]; read_all(head, sizeof head);) {
        std::vector<uint64_t> transfers(head[1]);
        if (!read_all(transfers.data(), head[1] * sizeof transfers[0])) break;
        if (session.run(head[0], transfers)) session.send_recorded();
        send(END, {});
    }
    return 0;
}
