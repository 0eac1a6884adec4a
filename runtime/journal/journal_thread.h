// SPDX-License-Identifier: Apache-2.0
// JournalThread: a FileJournal behind a thread of its own, so that the loop never waits for a disk. What gathers while one group is being
// written is the next one: a burst costs two syncs, not one a record. Used from the loop's thread; `executor` outlives it.
// The destructor writes what is left.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "runtime/actor/executor.h"
#include "runtime/journal/file_journal.h"
#include "runtime/journal/journal.h"

namespace baton {

class JournalThread final : public Journal {
 public:
  // `on_error` is told, on the journal's thread, when writing fails and when it works again (empty text).
  JournalThread(std::unique_ptr<FileJournal> file, Executor& executor, std::uint32_t slot, std::function<void(const std::string&)> on_error);
  ~JournalThread() override;
  void put(const JournalKey& key, std::string record, std::function<void(bool, Outbox&)> durable) override;
  void erase(const JournalKey& key) override;

 private:
  struct Write {
    JournalKey key;
    std::optional<std::string> record;  // nothing: an erasure
    std::function<void(bool, Outbox&)> durable;
  };
  void add(Write write);
  void run();

  const std::unique_ptr<FileJournal> file_;
  Executor& executor_;
  const std::uint32_t slot_;
  const std::function<void(const std::string&)> on_error_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Write> waiting_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace baton
