/*
 * simdjson (Debian: libsimdjson-dev) over the texts that parseJson is measured on: what a native parser takes for its tape alone, and for a
 * walk over the tape that does the least which any conversion into other memory does: it copies each text and key once, and each number.
 *
 * Arguments: file, passes a batch, batches. The file: u32 count, then for each text u32 length and its bytes.
 * Prints {"mean_ns": x} for each batch of the tape, {"walked_ns": x} for each with the walk, both of one pass over all texts; then {"checksum": n}.
 */
#include <simdjson.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

using simdjson::dom::element;
using simdjson::dom::element_type;

namespace {

struct Out {
  std::vector<uint64_t> memory;
  size_t at = 0;

  void number(uint64_t bits) { memory[at++] = bits; }

  void text(std::string_view text) {
    memory[at++] = text.size();
    std::memcpy(&memory[at], text.data(), text.size());
    at += (text.size() + 7) / 8;
  }
};

void walk(element value, Out &out) {
  switch (value.type()) {
    case element_type::ARRAY: {
      simdjson::dom::array array = value.get_array().value_unsafe();
      for (element one : array) walk(one, out);
      return;
    }
    case element_type::OBJECT: {
      simdjson::dom::object object = value.get_object().value_unsafe();
      for (auto [key, one] : object) {
        out.text(key);
        walk(one, out);
      }
      return;
    }
    case element_type::STRING: out.text(value.get_string().value_unsafe()); return;
    case element_type::DOUBLE: {
      double number = value.get_double().value_unsafe();
      uint64_t bits;
      std::memcpy(&bits, &number, sizeof bits);
      out.number(bits);
      return;
    }
    case element_type::INT64: out.number(static_cast<uint64_t>(value.get_int64().value_unsafe())); return;
    case element_type::UINT64: out.number(value.get_uint64().value_unsafe()); return;
    case element_type::BOOL: out.number(value.get_bool().value_unsafe() ? 1 : 2); return;
    default: out.number(0);
  }
}

double now_ns() { return static_cast<double>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1)); }

}  // namespace

int main(int argc, char **argv) {
  if (argc != 4) return std::fprintf(stderr, "usage: json_tape FILE PASSES BATCHES\n"), 2;
  std::ifstream file(argv[1], std::ios::binary);
  std::string data((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const long passes = std::strtol(argv[2], nullptr, 10), batches = std::strtol(argv[3], nullptr, 10);
  std::vector<std::string_view> texts;
  size_t longest = 0;
  for (size_t at = 4; at < data.size();) {
    uint32_t length;
    std::memcpy(&length, data.data() + at, 4);
    texts.emplace_back(data.data() + at + 4, length);
    longest = std::max(longest, static_cast<size_t>(length));
    at += 4 + length;
  }
  simdjson::dom::parser parser;
  Out out;
  // Each value takes at least two bytes of text, and eight of memory.
  out.memory.resize(longest * 4 + 64);
  uint64_t checksum = 0;
  for (bool walks : {false, true}) {
    for (long batch = -1; batch < batches; batch++) {
      const double start = now_ns();
      for (long pass = 0; pass < passes; pass++) {
        for (std::string_view text : texts) {
          element root;
          // The buffers of Node have no room behind them, so the parser copies them into one that has.
          if (parser.parse(text.data(), text.size(), true).get(root) != simdjson::SUCCESS) return std::fprintf(stderr, "simdjson refuses a text\n"), 1;
          if (!walks) continue;
          out.at = 0;
          walk(root, out);
          checksum += out.at;
        }
      }
      if (batch >= 0) std::printf("{\"%s\":%.1f}\n", walks ? "walked_ns" : "mean_ns", (now_ns() - start) / static_cast<double>(passes));
    }
  }
  std::printf("{\"checksum\":%llu}\n", static_cast<unsigned long long>(checksum));
}
