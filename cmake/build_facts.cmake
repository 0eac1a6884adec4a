# What `baton version` shows. Only launcher/version.cc sees these, so that a new commit recompiles one file; the commit is
# read when CMake runs, and CMake runs again when HEAD moves.
set(commit unknown)
find_package(Git QUIET)
if(GIT_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} describe --always --dirty --abbrev=12 WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  if(NOT failed)
    set(commit ${described})
  endif()
  execute_process(COMMAND ${GIT_EXECUTABLE} rev-parse --git-path logs/HEAD WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    OUTPUT_VARIABLE head_log OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  cmake_path(ABSOLUTE_PATH head_log BASE_DIRECTORY ${CMAKE_SOURCE_DIR})
  if(NOT failed AND EXISTS ${head_log})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${head_log})
  endif()
endif()
set(cuda "no cuda")
if(BATON_HAS_CUDA)
  set(cuda "cuda ${CUDAToolkit_VERSION}")
endif()
set_source_files_properties(${CMAKE_SOURCE_DIR}/launcher/version.cc PROPERTIES COMPILE_DEFINITIONS
  "BATON_VERSION=\"${PROJECT_VERSION}\";BATON_COMMIT=\"${commit}\";BATON_BUILD_TYPE=\"${CMAKE_BUILD_TYPE}\";BATON_SANITIZERS=\"${BATON_SANITIZE}\";BATON_LIBRARIES=\"zmq ${ZMQ_VERSION}, capnp ${CAPNP_VERSION}, yaml-cpp ${yaml-cpp_VERSION}, utf8proc ${UTF8PROC_VERSION}, ${cuda}\"")
