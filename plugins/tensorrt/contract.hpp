// What a plugin's fields may hold: the shape of the tables in contract_tables.hpp.
#pragma once

namespace spit::tensorrt {

enum class FieldKind { kWhole, kReal, kChoice };

// A field and its range, inclusive. The value of a choice is its index among choices.
struct FieldContract {
  const char* name;
  FieldKind kind;
  bool required;
  double fallback;  // where the field is not required
  double low;
  double high;
  const char* const* choices;
};

struct OpContract {
  const char* name;
  int version;
  const FieldContract* fields;
  int field_count;
};

constexpr int kMostFields = 8;

}  // namespace spit::tensorrt
