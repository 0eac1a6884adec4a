// SPDX-License-Identifier: Apache-2.0
#include "models/model_path.h"

#include <algorithm>
#include <filesystem>
#include <vector>

namespace baton {

namespace fs = std::filesystem;

namespace {

// A folder that was downloaded may hold a link to anything on this machine; what it leads to is not part of the model.
Result<std::string> within(const std::string& folder, const std::string& file) {
  std::error_code error;
  const fs::path real_folder = fs::canonical(folder, error), real_file = error ? fs::path() : fs::canonical(file, error);
  if (error) return fail(ErrorCode::kIo, "cannot examine " + file + ": " + error.message());
  if (std::mismatch(real_folder.begin(), real_folder.end(), real_file.begin(), real_file.end()).first == real_folder.end()) return file;
  return fail(ErrorCode::kInvalidArgument, "in the directory " + folder + ", " + fs::path(file).filename().string() + " leads out of it, to " +
                                               real_file.string() + ": if that is the model you want, name that file");
}

}  // namespace

Result<std::string> resolve_model_path(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return fail(ErrorCode::kNotFound, "there is no model at " + path);
  if (error) return fail(ErrorCode::kIo, "cannot examine " + path + ": " + error.message());
  if (!fs::is_directory(status)) return path;

  std::vector<std::string> found;
  fs::directory_iterator entries(path, error);
  while (!error && entries != fs::directory_iterator()) {
    std::error_code ignored;
    if (entries->path().extension() == ".gguf" && entries->is_regular_file(ignored)) found.push_back(entries->path().string());
    entries.increment(error);
  }
  if (error) return fail(ErrorCode::kIo, "cannot list " + path + ": " + error.message());
  if (found.empty())
    return fail(ErrorCode::kNotFound, "the directory " + path + " holds no .gguf file: give the path of the file");
  if (found.size() == 1) return within(path, found.front());
  std::sort(found.begin(), found.end());
  std::string names;
  for (std::size_t i = 0; i < std::min<std::size_t>(found.size(), 5); ++i) names += (i ? ", " : "") + found[i];
  return fail(ErrorCode::kInvalidArgument, "the directory " + path + " holds " + std::to_string(found.size()) +
                                               " .gguf files (" + names + (found.size() > 5 ? ", ..." : "") +
                                               "): name one of them");
}

}  // namespace baton
