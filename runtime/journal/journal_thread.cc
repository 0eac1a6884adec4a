// SPDX-License-Identifier: Apache-2.0
#include "runtime/journal/journal_thread.h"

#include <utility>
#include <vector>

#include "runtime/base/thread_name.h"

namespace baton {

JournalThread::JournalThread(std::unique_ptr<FileJournal> file, Executor& executor, std::uint32_t slot, std::function<void(const std::string&)> on_error)
    : file_(std::move(file)), executor_(executor), slot_(slot), on_error_(std::move(on_error)), thread_([this] { run(); }) {}

JournalThread::~JournalThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void JournalThread::put(const JournalKey& key, std::string record, std::function<void(bool, Outbox&)> durable) {
  add({key, std::move(record), std::move(durable)});
}

void JournalThread::erase(const JournalKey& key) { add({key, std::nullopt, {}}); }

void JournalThread::add(Write write) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(write));
  }
  wake_.notify_one();
}

void JournalThread::run() {
  name_this_thread("baton-journal");
  bool failing = false;
  for (;;) {
    std::deque<Write> group;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      group.swap(waiting_);
    }
    std::vector<bool> taken;
    for (Write& write : group) {
      taken.push_back(!write.record || file_->put(write.key, std::move(*write.record)));
      if (!write.record) file_->erase(write.key);
    }
    const Result<void> written = file_->sync();
    if (!written && !failing) on_error_(written.error().message);
    else if (written && failing) on_error_({});
    failing = !written;
    for (std::size_t i = 0; i < group.size(); ++i)
      if (group[i].durable)
        executor_.post(slot_, [durable = std::move(group[i].durable), ok = written.has_value() && taken[i]](Outbox& out) { durable(ok, out); });
  }
}

}  // namespace baton
