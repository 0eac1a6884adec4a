// SPDX-License-Identifier: Apache-2.0
// A link frame: what is decoded is written again as the same bytes, a session takes it, and one that queues its messages sends
// them in frames that hold the same.
#include "runtime/link/frame.h"

#include "runtime/base/check.h"
#include "runtime/link/session.h"
#include "tests/fuzz/target.h"

namespace baton::fuzz {

void run_frame(std::string_view bytes) {
  Result<Frame> frame = decode_frame(bytes);
  if (!frame) return;
  FrameWriter writer(frame->header);
  for (std::size_t i = 0; i < frame->messages.size(); ++i) writer.add(frame->messages[i]);
  CHECK(writer.take() == bytes, "the same bytes");
  SessionLimits limits;
  limits.held_bytes_max = 4096;
  BufferPool pool;
  Session session(limits, pool);
  Session sender(SessionLimits{}, pool);
  for (std::size_t i = 0; i < frame->messages.size(); ++i) sender.push(frame->messages[i]);
  std::size_t sent = 0;
  while (sender.ready()) {
    FrameWriter again(frame->header);
    const std::size_t filled = sender.fill(again);
    CHECK(filled > 0 && (filled == 1 || again.bytes() <= kFrameBytesTarget));
    const std::string copy = again.take();
    const Result<Frame> read = decode_frame(copy);
    CHECK(read.has_value() && read->messages.size() == filled);
    for (std::size_t i = 0; i < filled; ++i) CHECK(read->messages[i].payload.bytes == frame->messages[sent + i].payload.bytes);
    sent += filled;
    sender.mark_sent(filled);
  }
  CHECK(sent == frame->messages.size());
  const std::size_t count = frame->messages.size();
  auto accepted = session.accept(frame->header.first_sequence, std::move(frame->messages));
  std::size_t taken = 0;
  for (MessageBatch& batch : accepted.batches) {
    for (; !batch.empty(); batch.pop_front(), ++taken) (void)batch.front().payload.bytes.size();
    CHECK(batch.wire_bytes() == 0, "the batch ends where the frame did");
  }
  CHECK(taken <= count);
  session.acknowledge(frame->header.ack);
}

}  // namespace baton::fuzz
